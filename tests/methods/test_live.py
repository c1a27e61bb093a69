"""LIVE: the shift by its formula, the norm that stays, the two sites, what it starts from."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import get_peft_model
from torch import Tensor, nn

from closeness import assert_close
from hificl.errors import InputError
from hificl.methods.learned_shift import LearnedShift
from hificl.methods.live import LIVEConfig
from hificl.tuner import Call, interventions
from methods.small_decoder import HIDDEN, LAYERS, adapted, logits, padded_batch, small_decoder

EXACT = 1e-12


def outputs_of(model: Any, modules: list[nn.Module]) -> list[Tensor]:
    """What the modules hand on in one forward, after everything that acts on them."""
    found: list[Tensor] = []

    def keep(module: nn.Module, args: Any, output: Any) -> None:
        found.append((output[0] if isinstance(output, tuple) else output).detach())

    handles = [module.register_forward_hook(keep) for module in modules]
    with torch.no_grad():
        model(**padded_batch(), use_cache=False)
    for handle in handles:
        handle.remove()
    return found


def shifted_by_hand(base: Any, site: str, shifts: dict[tuple[str, int], Any]) -> Any:
    """Put the paper's formula on the base model with plain hooks."""
    for index, layer in enumerate(base.model.layers):
        shift = shifts[site, index]
        added = (shift.shift_scale * shift.shift_vector).detach()

        def move(module: nn.Module, args: Any, output: Tensor, added: Tensor = added) -> Tensor:
            moved = output + added
            return moved * output.norm(dim=-1, keepdim=True) / moved.norm(dim=-1, keepdim=True)

        (layer.mlp if site == "mlp_output" else layer).register_forward_hook(move)
    return base


@pytest.mark.parametrize("site", ["mlp_output", "residual"])
def test_live_is_its_formula(site: str) -> None:
    model = adapted(LIVEConfig(site=site))
    shifts = interventions(model)
    assert set(shifts) == {(site, layer) for layer in range(LAYERS)}
    expected = logits(shifted_by_hand(small_decoder(), site, shifts))
    assert_close(logits(model), expected, EXACT * expected.abs().max().item(), site)
    assert (expected - logits(small_decoder())).abs().max() > 0.1


def test_the_norm_of_every_position_stays() -> None:
    """In the first layer both models get the same input, so their feed-forwards have the same norms."""
    model: Any = adapted(LIVEConfig())
    base = small_decoder()
    moved = outputs_of(model, [model.base_model.model.model.layers[0].mlp])[0]
    plain = outputs_of(base, [base.model.layers[0].mlp])[0]
    assert_close(moved.norm(dim=-1), plain.norm(dim=-1), EXACT * plain.norm(dim=-1).max().item(), "norms")
    assert (moved - plain).norm(dim=-1).min() > 0.01


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_zeros_stay_finite_with_their_gradients(dtype: torch.dtype) -> None:
    shift = LearnedShift(7, keep_norm=True)
    activation = torch.zeros(2, 3, 7, dtype=dtype, requires_grad=True)
    moved = shift(activation, Call(is_prefill=True))
    assert moved.dtype == dtype
    assert not moved.any()
    moved.float().sum().backward()
    for tensor in (activation, *shift.parameters()):
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()


def test_initial_values_and_numbers_of_parameters() -> None:
    """Vectors of 0.01 normal, each layer with its own scale of 0.1."""
    torch.manual_seed(5)
    shift = LearnedShift(20011, keep_norm=True)
    assert shift.shift_vector.std().item() == pytest.approx(0.01, rel=0.03)
    assert abs(shift.shift_vector.mean().item()) < 0.0005
    assert shift.shift_scale.item() == pytest.approx(0.1)
    model = get_peft_model(small_decoder(), LIVEConfig())
    trained = {name: tensor for name, tensor in model.named_parameters() if tensor.requires_grad}
    assert sum(tensor.numel() for tensor in trained.values()) == LAYERS * (HIDDEN + 1)
    assert sum("scale" in name for name in trained) == LAYERS, "the recipe gives them a learning rate of their own"


def test_other_sites_are_refused() -> None:
    with pytest.raises(InputError, match="site='head_output' is unknown; choose 'mlp_output' or 'residual'"):
        LIVEConfig(site="head_output")
