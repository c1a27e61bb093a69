"""Compile the Triton kernels for a GPU of compute capability 9.0, as a script: run by test_triton_merge.py."""

from __future__ import annotations

from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from attention.merging import Joining, make
from hificl.attention import triton_kernels, triton_merge

SHARED_MEMORY = 232_448  # bytes that one program can have on such a GPU
NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16"}


class Recorded:
    """Stands for a kernel; remembers with what it was launched."""

    def __getitem__(self, grid: tuple[int]) -> Recorded:
        return self

    def __call__(self, *arguments: Any, num_stages: int, **constants: Any) -> None:
        self.arguments, self.constants, self.num_stages = arguments, constants, num_stages


def compile_as_launched(kernel: Any, launch: Recorded) -> Any:
    """Compile a kernel for the arguments of a launch; the number 1 and None become constants, as in a launch."""
    signature: dict[str, Any] = {}
    constants: dict[tuple[int, ...], Any] = {}
    for index, (name, argument) in enumerate(zip(kernel.arg_names, launch.arguments, strict=False)):
        if isinstance(argument, tuple):
            kinds = ["constexpr" if size == 1 else "i32" for size in argument]
            signature[name] = tuple(kinds)
            constants |= {(index, axis): 1 for axis, kind in enumerate(kinds) if kind == "constexpr"}
        elif isinstance(argument, torch.Tensor):
            signature[name] = f"*{NAMES[argument.dtype]}"
        elif argument is None or argument == 1:
            signature[name], constants[index,] = "constexpr", argument
        else:
            signature[name] = "fp32" if isinstance(argument, float) else "i32"
    for index, (name, constant) in enumerate(launch.constants.items(), start=len(launch.arguments)):
        signature[name], constants[index,] = "constexpr", constant
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_stages": launch.num_stages})


def main() -> None:
    """Compile both kernels at the ends of what they take."""
    for case, dtype in (
        (Joining("usual", heads=4, queries=96, virtual=8, head_dim=128, value_dim=128), torch.bfloat16),
        (Joining("largest", queries=96, virtual=64, head_dim=256, value_dim=256, offset="per pair"), torch.float32),
    ):
        problem = make(case, dtype)
        merged = triton_merge.Merged(problem.output, problem.real_mass, None)
        for name in ("forward", "backward"):
            kernel, launch = getattr(triton_kernels, name), Recorded()
            setattr(triton_kernels, name, launch)
            common = (problem.query, problem.pairs, problem.scale)
            if name == "forward":
                triton_merge.TRITON.forward(*common, problem.output, problem.real_mass)
            else:
                triton_merge.TRITON.backward(
                    *common, problem.grad, merged, problem.grad_query, wants_offset=case.offset != "none"
                )
            setattr(triton_kernels, name, kernel)
            shared = compile_as_launched(kernel, launch).metadata.shared
            print(f"{case.name}, {dtype}, {name}: {shared} bytes of shared memory")
            assert shared <= SHARED_MEMORY


if __name__ == "__main__":
    main()
