"""Virtual pairs beside flex attention: through its log-sum-exp, and through its block mask."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from closeness import assert_close
from hificl.tuner import flex
from tuner.implementations import CLOSE, WINDOW, adapted, attend_through, attention_of


class Auxiliary:
    """What flex attention returns beside its output."""

    def __init__(self, lse: Tensor) -> None:
        self.lse = lse


def block_mask(queries: int = 13) -> BlockMask:
    """Causal within a window; the first row sees nothing."""
    return create_block_mask(
        lambda batch, head, query, key: (query >= key) & (query - key < WINDOW) & (query > 0),
        3, None, queries, queries, device="cpu",
    )  # fmt: skip


def test_pairs_join_flex_attention_through_its_log_sum_exp(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs on a GPU, with flex attention in eager mode, which has no gradient on a CPU."""
    attention = attention_of(adapted("flex_attention"))
    query, key = torch.randn(3, 6, 13, 8).double(), torch.randn(3, 2, 13, 8).double()
    wanted = attend_through(attention, query, key, block_mask())
    calls = []

    def eager_mode(*args: Tensor, training: bool, **options: Any) -> Any:
        calls.append(training)
        return flex_attention(*args, **options)

    monkeypatch.setattr(flex, "_has_log_sum_exp", lambda query: True)
    monkeypatch.setattr(flex, "compile_friendly_flex_attention", eager_mode)
    with torch.no_grad():
        found = attend_through(attention, query, key, block_mask())
    assert calls == [False]
    assert_close(found, wanted, CLOSE, "output")


def test_the_log_sum_exp_of_flex_attention_carries_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a formula in the place of flex attention."""
    attention = attention_of(adapted("flex_attention"))
    mask = block_mask()
    visible = flex.visible_keys(mask, 13, 13)

    def formula(query: Tensor, key: Tensor, value: Tensor, *, scale: float, enable_gqa: bool, **_: Any) -> Any:
        assert not enable_gqa, "6 heads are no power of two"
        scores = (scale * query @ key.mT).masked_fill(~visible, -torch.inf)
        weights = scores.masked_fill(~visible.any(-1, keepdim=True), 0.0).softmax(-1).masked_fill(~visible, 0.0)
        lse = torch.logsumexp(scores[:, :, 1:], dim=-1)  # autograd makes NaN of rows that see nothing
        return weights @ value, Auxiliary(torch.nn.functional.pad(lse, (1, 0), value=-torch.inf))

    def run() -> list[Tensor]:
        leaves = [tensor.clone().requires_grad_() for tensor in (query, key)]
        trained = [parameter for parameter in attention.parameters() if parameter.requires_grad]
        output = attend_through(attention, *leaves, mask)
        return [output, *torch.autograd.grad(output.square().sum(), [*leaves, *trained])]

    query, key = torch.randn(3, 6, 13, 8).double(), torch.randn(3, 2, 13, 8).double()
    wanted = run()
    monkeypatch.setattr(flex, "_has_log_sum_exp", lambda query: True)
    monkeypatch.setattr(flex, "compile_friendly_flex_attention", formula)
    for tensor, want in zip(run(), wanted, strict=True):
        assert_close(tensor, want, CLOSE * 10, "output or a gradient")


def test_masks_made_of_blocks_alone_hide_what_they_leave_out() -> None:
    """Such masks have no function that says which keys are visible."""
    places = torch.tensor([[[[0, 1], [1, 0]]]], dtype=torch.int32)
    counts = torch.tensor([[[1, 1]]], dtype=torch.int32)
    mask = BlockMask.from_kv_blocks(counts, places, BLOCK_SIZE=4, seq_lengths=(7, 8))
    wanted = torch.zeros(7, 8, dtype=torch.bool)
    wanted[:4, :4] = wanted[4:, 4:] = True
    assert torch.equal(flex.visible_keys(mask, 7, 8)[0, 0], wanted)
