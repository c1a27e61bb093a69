"""Stand-ins for the flash_attn packages: their signatures and refusals, around plain formulas that run on a CPU."""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest
import torch
from torch import Tensor

FORWARD = (
    "fwd(Tensor q, Tensor k, Tensor v, Tensor(k_new!)? k_new = None, Tensor(v_new!)? v_new = None, "
    "Tensor? q_v = None, Tensor(out!)? out = None, Tensor? cu_seqlens_q = None, Tensor? cu_seqlens_k = None, "
    "Tensor? cu_seqlens_k_new = None, Tensor? seqused_q = None, Tensor? seqused_k = None, int? max_seqlen_q = None, "
    "int? max_seqlen_k = None, Tensor? page_table = None, Tensor? kv_batch_idx = None, Tensor? leftpad_k = None, "
    "Tensor? rotary_cos = None, Tensor? rotary_sin = None, Tensor? seqlens_rotary = None, Tensor? q_descale = None, "
    "Tensor? k_descale = None, Tensor? v_descale = None, float? softmax_scale = None, bool is_causal = False, "
    "int window_size_left = -1, int window_size_right = -1, int attention_chunk = 0, float softcap = 0.0, "
    "bool is_rotary_interleaved = False, Tensor? scheduler_metadata = None, int num_splits = 0, "
    "bool? pack_gqa = None, int sm_margin = 0) -> (Tensor(out!), Tensor, Tensor, Tensor)"
)
BACKWARD = (
    "bwd(Tensor dout, Tensor q, Tensor k, Tensor v, Tensor out, Tensor softmax_lse, Tensor(dq!)? dq = None, "
    "Tensor(dk!)? dk = None, Tensor(dv!)? dv = None, Tensor? cu_seqlens_q = None, Tensor? cu_seqlens_k = None, "
    "Tensor? seqused_q = None, Tensor? seqused_k = None, int? max_seqlen_q = None, int? max_seqlen_k = None, "
    "float? softmax_scale = None, bool is_causal = False, int window_size_left = -1, int window_size_right = -1, "
    "float softcap = 0.0, bool deterministic = False, int sm_margin = 0) -> (Tensor, Tensor, Tensor, Tensor, Tensor)"
)
"""The schemas with which version 3 registers its operators."""


def refuse(query: Tensor, key: Tensor, value: Tensor, *others: Tensor) -> None:
    """Refuse what the packages refuse; all tensors are [batch rows heads size]."""
    batch, queries, heads, size = query.shape
    assert heads % key.shape[2] == 0
    assert key.shape == value.shape == (batch, key.shape[1], key.shape[2], size)
    assert all(other.shape == (batch, queries, heads, size) for other in others)
    assert size % 8 == 0
    assert all(tensor.stride(-1) == 1 and tensor.dtype == query.dtype for tensor in (key, value, *others))


def scores(query: Tensor, key: Tensor, scale: float, causal: bool) -> Tensor:
    """Give [batch heads queries keys]; causal is bottom-right."""
    key = key.repeat_interleave(query.shape[2] // key.shape[2], dim=2)
    found = scale * torch.einsum("bthd,bshd->bhts", query, key)
    later = torch.ones(found.shape[-2:], dtype=torch.bool).triu(found.shape[3] - found.shape[2] + 1)
    return found.masked_fill(later, -torch.inf) if causal else found


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float, causal: bool) -> tuple[Tensor, Tensor]:
    refuse(query, key, value)
    found = scores(query, key, scale, causal)
    value = value.repeat_interleave(query.shape[2] // value.shape[2], dim=2)
    return torch.einsum("bhts,bshd->bthd", found.softmax(-1), value).contiguous(), found.logsumexp(-1)


def differentiate(
    grad: Tensor, query: Tensor, key: Tensor, value: Tensor, output: Tensor, mass: Tensor, into: list[Tensor],
    scale: float, causal: bool,
) -> None:  # fmt: skip
    """Write the gradients of query, key and value for this output and log-sum-exp."""
    refuse(query, key, value, grad, output)
    assert [tensor.shape for tensor in into] == [query.shape, key.shape, value.shape]
    groups = query.shape[2] // key.shape[2]
    weights = (scores(query, key, scale, causal) - mass.unsqueeze(-1)).exp()
    delta = (grad * output).sum(-1).transpose(1, 2).unsqueeze(-1)
    pull = weights * (torch.einsum("bthd,bshd->bhts", grad, value.repeat_interleave(groups, dim=2)) - delta)
    into[0].copy_(scale * torch.einsum("bhts,bshd->bthd", pull, key.repeat_interleave(groups, dim=2)))
    for tensor, left, right in ((into[1], scale * pull, query), (into[2], weights, grad)):
        tensor.copy_(torch.einsum("bhts,bthd->bshd", left, right).unflatten(2, (-1, groups)).sum(3))


class Version2(ModuleType):
    """``flash_attn.flash_attn_interface`` of version 2.8."""

    @staticmethod
    def _wrapped_flash_attn_forward(
        q: Tensor, k: Tensor, v: Tensor, dropout_p: float, softmax_scale: float, causal: bool, window_size_left: int,
        window_size_right: int, softcap: float, alibi_slopes: Tensor | None, return_softmax: bool,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        assert (dropout_p, window_size_left, window_size_right, softcap, alibi_slopes) == (0.0, -1, -1, 0.0, None)
        assert not return_softmax
        return *attend(q, k, v, softmax_scale, causal), torch.empty(0), torch.empty(2)

    @staticmethod
    def _wrapped_flash_attn_backward(
        dout: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, softmax_lse: Tensor, dq: Tensor, dk: Tensor,
        dv: Tensor, dropout_p: float, softmax_scale: float, causal: bool, window_size_left: int,
        window_size_right: int, softcap: float, alibi_slopes: Tensor | None, deterministic: bool,
        rng_state: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        assert (dropout_p, window_size_left, window_size_right, softcap, alibi_slopes) == (0.0, -1, -1, 0.0, None)
        assert (deterministic, rng_state) == (False, None)
        differentiate(dout, q, k, v, out, softmax_lse, [dq, dk, dv], softmax_scale, causal)
        return softmax_lse


def install(name: str, patch: pytest.MonkeyPatch, module: ModuleType | None = None) -> None:
    """Let a module be found under a name, as if its package were installed."""
    module = ModuleType(name) if module is None else module
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    patch.setitem(sys.modules, name, module)


@contextmanager
def version_3(patch: pytest.MonkeyPatch, forward: str = FORWARD) -> Iterator[None]:
    """Let version 3 be installed; its operators take tensors of a CPU."""
    library = torch.library.Library("flash_attn_3", "DEF")
    library.define(forward)
    library.define(BACKWARD)

    def fwd(q: Tensor, k: Tensor, v: Tensor, *rest: object) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        scale, causal = (*rest, False)[20:22]  # torch leaves out defaults at the end
        assert all(window == -1 for window in rest[22:24])
        assert isinstance(scale, float)
        return *attend(q, k, v, scale, bool(causal)), torch.empty(0), torch.empty(0)

    def bwd(
        dout: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, *rest: object
    ) -> tuple[Tensor, ...]:
        into, (scale, causal) = [tensor for tensor in rest[:3] if isinstance(tensor, Tensor)], (*rest, False)[9:11]
        assert isinstance(scale, float)
        differentiate(dout, q, k, v, out, lse, into, scale, bool(causal))
        return tuple(torch.empty(0) for _ in range(5))

    library.impl("fwd", fwd, "CPU")
    library.impl("bwd", bwd, "CPU")
    install("flash_attn_interface", patch)
    try:
        yield
    finally:
        library._destroy()
