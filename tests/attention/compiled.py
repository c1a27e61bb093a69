"""Compile the Triton kernels as a GPU's launch would, as a script: run by test_triton_merge.py.

What a program needs is read off the binary: shared memory, and registers that the compiler had to move into memory.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from attention.merging import Joining, make
from hificl.attention import triton_kernels, triton_merge

SHARED_MEMORY = {80: 163 * 1024, 90: 227 * 1024}
"""Bytes that one program can have, by compute capability."""
NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
OPTIONS = ("num_stages", "num_warps")
ALIGNED = [["tt.divisibility", 16]]
RESOURCES = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"

Named = tuple[Joining, torch.dtype]


class Recorded:
    """Stands for a kernel; remembers with what it was launched."""

    def __getitem__(self, grid: tuple[int]) -> Recorded:
        return self

    def __call__(self, *arguments: Any, **constants: Any) -> None:
        self.arguments = arguments
        self.options = {name: constants.pop(name) for name in OPTIONS}
        self.constants = constants


def described(argument: Any) -> tuple[str, Any, bool]:
    """Say of which type an argument is, its value where a launch makes it a constant, and whether 16 divides it."""
    if isinstance(argument, torch.Tensor):
        return f"*{NAMES[argument.dtype]}", None, argument.data_ptr() % 16 == 0
    if argument is None or (isinstance(argument, int) and argument == 1):
        return "constexpr", argument, False
    return ("fp32", None, False) if isinstance(argument, float) else ("i32", None, argument % 16 == 0)


def compile_as_launched(kernel: Any, launch: Recorded, capability: int) -> Any:
    """Compile a kernel for the arguments of a launch, with what a launch tells the compiler about them."""
    signature: dict[str, Any] = {}
    constants: dict[tuple[int, ...], Any] = {}
    attributes: dict[tuple[int, ...], Any] = {}

    def add(place: tuple[int, ...], argument: Any) -> str:
        kind, constant, divides = described(argument)
        if kind == "constexpr":
            constants[place] = constant
        if divides:
            attributes[place] = ALIGNED
        return kind

    for index, (name, argument) in enumerate(zip(kernel.arg_names, launch.arguments, strict=False)):
        if isinstance(argument, tuple):
            signature[name] = tuple(add((index, axis), size) for axis, size in enumerate(argument))
        else:
            signature[name] = add((index,), argument)
    for index, (name, constant) in enumerate(launch.constants.items(), start=len(launch.arguments)):
        signature[name], constants[index,] = "constexpr", constant
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=attributes)
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=launch.options)


def spilled(compiled: Any) -> int:
    """Read off the binary how many bytes of each thread's registers lie in memory."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        told = subprocess.run([RESOURCES, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout
    return sum(int(found) for found in re.findall(r"\b(?:STACK|LOCAL):(\d+)", told))


def launches(case: Joining, dtype: torch.dtype) -> Iterator[tuple[str, Any, Recorded]]:
    """Give both kernels, and with what they are launched for a case."""
    problem = make(case, dtype)
    merged = triton_merge.Merged(problem.output, problem.real_mass, None)
    for name in ("forward", "backward"):
        kernel, launch = getattr(triton_kernels, name), Recorded()
        setattr(triton_kernels, name, launch)
        common = (problem.query, problem.pairs, problem.scale)
        if name == "forward":
            triton_merge.TRITON.forward(*common, problem.output, problem.real_mass)
        else:
            wants_offset = case.offset not in ("none", "per score")
            triton_merge.TRITON.backward(*common, problem.grad, merged, problem.grad_query, wants_offset=wants_offset)
        setattr(triton_kernels, name, kernel)
        yield name, kernel, launch


FEW: list[Named] = [
    (Joining("usual", heads=4, queries=96, virtual=8, head_dim=128, value_dim=128), torch.bfloat16),
    (Joining("largest", queries=96, virtual=64, head_dim=256, value_dim=256, offset="per pair"), torch.float32),
]
"""The ends of what the kernels take."""


def many() -> Iterable[Named]:
    """Give what compiles to different programs: dtypes, tiles, numbers of pairs, sizes that 16 divides or not."""
    for dtype in NAMES:
        for virtual, head_dim, queries, offset in (
            *((1, 64, 1, "none"), (8, 80, 20, "per pair"), (16, 256, 96, "none"), (17, 96, 96, "per score")),
            *((32, 128, 1031, "per head"), (33, 256, 96, "per pair"), (64, 256, 1, "none"), (64, 64, 96, "none")),
        ):
            name = f"{virtual} pairs, heads of {head_dim}, {queries} queries, offset {offset}"
            case = Joining(
                name, 1, heads=3, queries=queries, virtual=virtual, head_dim=head_dim, value_dim=head_dim, offset=offset
            )
            yield case, dtype


def main(which: str) -> None:
    """Compile both kernels for both capabilities (few cases: the newer alone), and hold them to what a GPU has."""
    for capability in (90,) if which == "few" else SHARED_MEMORY:
        for case, dtype in FEW if which == "few" else many():
            for name, kernel, launch in launches(case, dtype):
                compiled = compile_as_launched(kernel, launch, capability)
                shared, spills = compiled.metadata.shared, spilled(compiled)
                print(
                    f"{capability}, {case.name}, {dtype}, {name}: {shared} bytes shared, {spills} spilled", flush=True
                )
                assert shared <= SHARED_MEMORY[capability]
                assert spills == 0


if __name__ == "__main__":
    main(sys.argv[1])
