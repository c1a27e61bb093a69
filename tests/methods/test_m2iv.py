"""M2IV: both branches by its formula, and what it starts from."""

from __future__ import annotations

from typing import Any

import torch
from peft import get_peft_model
from torch import Tensor, nn

from closeness import assert_close
from hificl.methods.m2iv import M2IVConfig
from hificl.tuner import interventions
from methods.small_decoder import HIDDEN, LAYERS, adapted, logits, small_decoder


def add_to(module: nn.Module, added: Tensor) -> None:
    def add(module: nn.Module, args: Any, output: Any) -> Any:
        return (output[0] + added, *output[1:]) if isinstance(output, tuple) else output + added

    module.register_forward_hook(add)


def test_m2iv_is_its_formula() -> None:
    model = adapted(M2IVConfig())
    shifts: dict[tuple[str, int], Any] = interventions(model)
    assert set(shifts) == {(site, layer) for site in ("attention_output", "mlp_output") for layer in range(LAYERS)}
    base = small_decoder()
    for index, layer in enumerate(base.model.layers):
        for site, module in (("attention_output", layer.self_attn), ("mlp_output", layer.mlp)):
            shift = shifts[site, index]
            add_to(module, (shift.shift_scale * shift.shift_vector).detach())
    expected = logits(base)
    assert_close(logits(model), expected, 1e-12 * expected.abs().max().item(), "logits")
    assert (expected - logits(small_decoder())).abs().max() > 0.1


def test_numbers_of_parameters() -> None:
    model = get_peft_model(small_decoder(torch.float32), M2IVConfig())
    assert sum(tensor.numel() for tensor in model.parameters() if tensor.requires_grad) == 2 * LAYERS * (HIDDEN + 1)
