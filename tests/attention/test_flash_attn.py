"""The flash_attn packages as kernels: layouts, shared heads, the joint backward pass; and when they are chosen."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from attention.cases import CASES, Case, make
from attention.flash_packages import FORWARD, Version2, install, version_3
from attention.test_virtual import EXACT, attend, gradients
from closeness import assert_close
from hificl.attention import choice, flash_attn, joint, kernels
from hificl.attention.efficient import CUDA_EFFICIENT
from hificl.attention.flash_attn import FLASH_ATTN_2, FLASH_ATTN_3, why_not_flash_attn_2, why_not_flash_attn_3
from hificl.attention.kernels import CUDA_FLASH, DENSE, Kernel

SERVED = [case for case in CASES if case.mask == "none" and case.queries and case.keys < 1000]
REMEMBERED = (
    *(flash_attn._flash_attn_2, flash_attn._flash_attn_3),
    *(why_not_flash_attn_2, why_not_flash_attn_3, choice._capability),
)


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    for function in REMEMBERED:
        function.cache_clear()
    yield
    for function in REMEMBERED:
        function.cache_clear()


@pytest.fixture
def version_2(monkeypatch: pytest.MonkeyPatch) -> None:
    install("flash_attn", monkeypatch)
    install("flash_attn.flash_attn_interface", monkeypatch, Version2("flash_attn.flash_attn_interface"))
    monkeypatch.setattr(flash_attn.importlib.metadata, "version", lambda package: "2.8.3.post1")


def agrees_with_the_default(case: Case, kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = make(case)
    wanted = attend(problem)
    wanted_gradients = gradients(wanted, problem)
    monkeypatch.setattr(joint, "choose_kernel", lambda query, mask: kernel)
    found = attend(problem)
    assert_close(found, wanted, EXACT, "output")
    for name, grad in gradients(found, problem).items():
        assert_close(grad, wanted_gradients[name], EXACT * 10, f"gradient of {name}")


@pytest.mark.parametrize("case", SERVED, ids=lambda case: case.name)
@pytest.mark.usefixtures("version_2")
def test_version_2_gives_the_same(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_not_flash_attn_2() is None
    agrees_with_the_default(case, FLASH_ATTN_2, monkeypatch)


@pytest.mark.parametrize("case", SERVED, ids=lambda case: case.name)
def test_version_3_gives_the_same(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    with version_3(monkeypatch):
        assert why_not_flash_attn_3() is None
        agrees_with_the_default(case, FLASH_ATTN_3, monkeypatch)


def test_what_is_not_there_is_said() -> None:
    assert why_not_flash_attn_2() == "the package flash-attn is not installed"
    assert why_not_flash_attn_3() == "the package flash-attn-3 is not installed"


def test_an_early_version_2_is_not_used(version_2: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flash_attn.importlib.metadata, "version", lambda package: "2.6.3")
    assert why_not_flash_attn_2() == "flash-attn 2.6 is installed, not 2.7 or a later 2"


def test_a_package_that_does_not_load_is_named_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flash_attn, "_version", lambda *names: (3, 0))
    assert "flash-attn-3 is installed but does not load (ModuleNotFoundError" in str(why_not_flash_attn_3())


def test_a_pre_release_with_other_arguments_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with version_3(monkeypatch, FORWARD.replace("is_causal", "causal")):
        assert "its operator fwd takes no is_causal" in str(why_not_flash_attn_3())


def test_importing_hificl_imports_no_package_of_kernels() -> None:
    code = "import sys, hificl, hificl.attention.choice; print([n for n in sys.modules if n.startswith('flash_attn')])"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"


def query_of(dtype: torch.dtype = torch.bfloat16, head_dim: int = 64) -> Any:
    """Stands for a query on a GPU: the choice looks at these facts alone."""
    return SimpleNamespace(device=torch.device("cuda"), dtype=dtype, shape=(2, 3, 7, head_dim))


@pytest.mark.parametrize(
    ("capability", "query", "installed", "built", "wanted", "reason"),
    [
        ((9, 0), query_of(), {3}, True, FLASH_ATTN_3, "Hopper"),
        ((9, 0), query_of(), {2}, True, CUDA_FLASH, "flash_attn 2 is what torch has itself, and three is missing"),
        ((8, 0), query_of(), {2, 3}, True, CUDA_FLASH, "flash_attn 3 is for GPUs of compute capability 9.0"),
        ((10, 0), query_of(), {3}, True, CUDA_FLASH, "9.0"),
        ((8, 0), query_of(), {2}, False, FLASH_ATTN_2, "no flash attention of its own"),
        ((8, 0), query_of(), set(), False, CUDA_EFFICIENT, "no flash attention, and two is missing"),
        ((9, 0), query_of(torch.float32), {3}, True, CUDA_EFFICIENT, "no float32"),
        ((9, 0), query_of(head_dim=264), {3}, True, CUDA_EFFICIENT, "no heads above 256"),
        ((8, 9), query_of(head_dim=224), set(), True, CUDA_EFFICIENT, "heads of 224"),
        ((8, 9), query_of(head_dim=256), set(), True, CUDA_FLASH, "half precision"),
        ((7, 5), query_of(torch.float16), set(), True, CUDA_EFFICIENT, "capability 7.5"),
        ((7, 5), query_of(), set(), True, DENSE, "bfloat16 on a GPU of compute capability 7.5"),
        ((9, 0), query_of(torch.float64), {3}, True, DENSE, "float64 on cuda"),
    ],
)
def test_the_choice_follows_facts(
    capability: tuple[int, int], query: Any, installed: set[int], built: bool, wanted: kernels.Kernel, reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(choice, "_capability", lambda device: capability)
    monkeypatch.setattr(choice, "why_not_flash_attn_2", lambda: None if 2 in installed else "two is missing")
    monkeypatch.setattr(choice, "why_not_flash_attn_3", lambda: None if 3 in installed else "three is missing")
    monkeypatch.setattr(torch.backends.cuda, "is_flash_attention_available", lambda: built)
    kernel, told = choice.kernel_and_reason(query, None)
    assert kernel is wanted
    assert reason in told
    assert choice.kernel_and_reason(query, torch.zeros(1, 1, 7, 7))[0] in (CUDA_EFFICIENT, DENSE)
