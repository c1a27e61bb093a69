"""Joint attention as an operator of torch, which torch.compile and torch.export keep whole in their graphs.

Eager code calls the autograd function directly, which costs less per call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op

from hificl.attention import step_merge
from hificl.attention.autocast import without_autocast
from hificl.attention.choice import choose_kernel
from hificl.attention.joint import JointAttention, join, join_without_gradient, joint_gradients
from hificl.attention.kernels import Inputs
from hificl.attention.merge import Merged, PairTensors
from hificl.attention.merge_choice import choose_merge

ARGUMENTS = (
    "Tensor query, Tensor key, Tensor value, Tensor virtual_key, Tensor virtual_value, Tensor? offset, Tensor? mask, "
    "Tensor? empty, float number, bool adds, bool is_causal, float scale, bool wants_offset, bool wants_mask"
)


def joint_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    virtual_key: Tensor,
    virtual_value: Tensor,
    score_offset: float | Tensor,
    mask: Tensor | None,
    empty: Tensor | None,
    adds: bool,
    is_causal: bool,
    scale: float,
) -> Tensor:
    """Attend to virtual and real keys in one softmax; arguments as in :meth:`JointAttention.forward`."""
    if not torch.is_grad_enabled():
        inputs = Inputs(query, key, value, mask, is_causal, scale)
        pairs = PairTensors(virtual_key, virtual_value, score_offset)
        # Such a step is traced through: calling the operator would cost more than what it does.
        if not torch.compiler.is_compiling() or step_merge.serves(inputs, pairs):
            return join_without_gradient(inputs, pairs, empty)
    elif not torch.compiler.is_compiling():
        return JointAttention.apply(
            query, key, value, virtual_key, virtual_value, score_offset, mask, empty, adds, is_causal, scale
        )
    offset, number = (score_offset, 0.0) if isinstance(score_offset, Tensor) else (None, float(score_offset))
    output, _ = torch.ops.hificl.joint_attention(
        query, key, value, virtual_key, virtual_value, offset, mask, empty, number, adds, is_causal, scale,
        offset is not None and offset.requires_grad, mask is not None and mask.requires_grad,
    )  # fmt: skip
    return output


def _read(
    query: Tensor, key: Tensor, value: Tensor, virtual_key: Tensor, virtual_value: Tensor, offset: Tensor | None,
    mask: Tensor | None, empty: Tensor | None, number: float, adds: bool, is_causal: bool, scale: float,
    wants_offset: bool, wants_mask: bool,
) -> dict[str, Any]:  # fmt: skip
    """Bring the operator's arguments into the form of :func:`hificl.attention.joint.join`, and choose the kernels."""
    pairs = PairTensors(virtual_key, virtual_value, number if offset is None else offset)
    return {
        "inputs": Inputs(query, key, value, mask, is_causal, scale),
        "pairs": pairs,
        "kernel": choose_kernel(query, mask, mask_gradient=wants_mask),
        "merge": choose_merge(query, pairs, offset_gradient=wants_offset),
    }


@custom_op("hificl::joint_attention", mutates_args=(), schema=f"({ARGUMENTS}) -> (Tensor, Tensor)")
def _forward(*arguments: Any) -> tuple[Tensor, Tensor]:
    """Give the output and the joint log-sum-exp, both laid out as :func:`_shapes` says."""
    merged = join(**_read(*arguments), empty=arguments[7])
    return _laid_out(merged.output), merged.joint.contiguous()


@_forward.register_fake
def _shapes(query: Tensor, key: Tensor, value: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    wide = torch.float64 if query.dtype == torch.float64 else torch.float32
    return _empty(query, (*query.shape[:3], value.shape[3])), query.new_empty(query.shape[:3], dtype=wide)


@custom_op(
    "hificl::joint_attention_backward",
    mutates_args=(),
    schema=f"(Tensor grad, Tensor output, Tensor joint, {ARGUMENTS}) -> "
    "(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _backward(grad: Tensor, output: Tensor, joint: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
    """Give the gradients of the first seven arguments; an empty tensor for an offset or a mask that wants none."""
    adds, (wants_offset, wants_mask) = arguments[9], arguments[12:]
    with without_autocast(grad.device.type):
        found = joint_gradients(
            **_read(*arguments), adds=adds, grad=grad, merged=Merged(output, joint, None),
            wants_offset=wants_offset, wants_mask=wants_mask,
        )  # fmt: skip
    real = (_laid_out(gradient) for gradient in found[:3])
    return (*real, *(grad.new_empty(0) if gradient is None else gradient.contiguous() for gradient in found[3:]))


@_backward.register_fake
def _gradient_shapes(grad: Tensor, output: Tensor, joint: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
    wants = (True, True, *arguments[12:])
    pairs = zip(arguments[3:7], wants, strict=True)
    return (
        *(_empty(tensor, tensor.shape) for tensor in arguments[:3]),
        *(tensor.new_empty(tensor.shape) if wanted else grad.new_empty(0) for tensor, wanted in pairs),
    )


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs[:8], *output)
    ctx.rest = inputs[8:]
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, grad: Tensor | None, _: Tensor | None) -> tuple[Tensor | None, ...]:
    *tensors, output, joint = ctx.saved_tensors
    rest = (*ctx.rest[:-2], ctx.needs_input_grad[5], ctx.needs_input_grad[6])
    if grad is None:
        return (None,) * (len(tensors) + len(rest))
    found = torch.ops.hificl.joint_attention_backward(grad, output, joint, *tensors, *rest)
    wanted = zip(found, ctx.needs_input_grad, strict=False)
    return (*(gradient if needs else None for gradient, needs in wanted), None, *(None for _ in rest))


_forward.register_autograd(_differentiate, setup_context=_remember)


def _laid_out(tensor: Tensor) -> Tensor:
    """Lay [batch heads rows size] out as kernels do, heads beside one another; for theirs nothing is copied."""
    return tensor.transpose(1, 2).contiguous().transpose(1, 2)


def _empty(like: Tensor, shape: Sequence[int]) -> Tensor:
    batch, heads, rows, size = shape
    return like.new_empty(batch, rows, heads, size).transpose(1, 2)
