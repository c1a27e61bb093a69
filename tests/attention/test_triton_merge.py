"""The Triton kernels: in Triton's interpreter, through its compiler for a GPU, and on a GPU where there is one."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from attention import merging
from attention.merging import JOININGS, Joining

ROOT = Path(__file__).parents[2]
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
HAS_WHEELS = sys.platform == "linux" and platform.machine() == "x86_64"
where_triton_is_built = pytest.mark.skipif(not HAS_WHEELS, reason="Triton is built for Linux on x86-64 alone")


def run(*arguments: str, **environment: str) -> None:
    """Run Python in a process of its own: Triton decides on import whether it interprets."""
    paths = os.pathsep.join(filter(None, [str(ROOT / "tests"), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": paths, **environment}
    finished = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr


@where_triton_is_built
def test_in_the_interpreter() -> None:
    run("-m", "pytest", "-p", "no:cacheprovider", "tests/attention/interpreted.py", TRITON_INTERPRET="1")


@where_triton_is_built
def test_compiles_for_a_gpu(tmp_path: Path) -> None:
    """Shared memory and types are checked by the compiler alone; no GPU and no driver are needed."""
    run("-m", "attention.compiled", "few", TRITON_CACHE_DIR=str(tmp_path), TRITON_INTERPRET="0")


@pytest.mark.slow
@where_triton_is_built
def test_everything_that_it_takes_compiles_for_two_kinds_of_gpu(tmp_path: Path) -> None:
    run("-m", "attention.compiled", "many", TRITON_CACHE_DIR=str(tmp_path), TRITON_INTERPRET="0")


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", JOININGS, ids=lambda case: case.name)
def test_on_a_gpu(case: Joining, dtype: torch.dtype) -> None:
    from hificl.attention.triton_merge import TRITON

    merging.check(TRITON, case, dtype, "cuda")


@pytest.mark.gpu
def test_two_runs_agree_to_the_bit() -> None:
    from hificl.attention.triton_merge import TRITON

    case = Joining("twice", batch=3, heads=5, queries=1031, virtual=8, head_dim=128, value_dim=128, offset="per pair")
    problem = merging.make(case, torch.bfloat16).to(device="cuda")
    once, again = (merging.joined(TRITON, problem, wants_offset=True)[1] for _ in range(2))
    for name, tensor in once.items():
        assert torch.equal(tensor, again[name]), name


@pytest.mark.gpu
@pytest.mark.timing
@pytest.mark.parametrize("virtual", [8, 64])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
def test_never_slower_than_separate_products(dtype: torch.dtype, virtual: int) -> None:
    """Prints milliseconds and the share of the memory's traffic that forward cannot avoid, for the record."""
    from triton.testing import do_bench

    from hificl.attention.merge import SEPARATE
    from hificl.attention.triton_merge import TRITON

    case = Joining("long", batch=4, heads=32, queries=2048, virtual=virtual, head_dim=128, value_dim=128)
    problem = merging.make(case, dtype).to(device="cuda")
    seconds = {
        merge.name: do_bench(lambda merge=merge: merging.joined(merge, problem, wants_offset=False)) / 1e3
        for merge in (SEPARATE, TRITON)
    }
    copies = do_bench(lambda: (problem.output.clone(), problem.real_mass.clone(), problem.grad_query.clone())) / 1e3
    moved = 8 * problem.query.numel() * problem.query.element_size()  # forward 3, backward 5 tensors of this size
    rate = moved / (seconds[TRITON.name] - copies) / 1e12
    print({name: f"{found * 1e3:.3f} ms" for name, found in seconds.items()}, f"{rate:.2f} TB/s")
    assert seconds[TRITON.name] <= seconds[SEPARATE.name]
