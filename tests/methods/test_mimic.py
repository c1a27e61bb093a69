"""MimIC against HiFICL's additive pair, against its formula written down again, and what it starts from."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model
from torch import Tensor, nn
from transformers.modeling_utils import AttentionInterface

from closeness import assert_close, rounding_budget
from hificl import HiFICLConfig
from hificl.errors import InputError
from hificl.methods.mimic import MimICConfig, WeightedShift
from hificl.tuner import Site
from laws.text_families import TEXT_FAMILIES
from methods.small_decoder import HEAD_DIM, HEADS, KV_HEADS, LAYERS, adapted, logits, padded_batch, small_decoder

EXACT = 1e-12
"""Differences in float64 that the order of sums explains."""


def shifts(model: PeftModel) -> list[WeightedShift]:
    return [module for module in model.modules() if isinstance(module, WeightedShift)]


def hificl_twin(mimic: PeftModel) -> PeftModel:
    """One additive pair per head: key w / scale, value v, score offset -b."""
    config = HiFICLConfig(
        num_virtual_tokens=1, factorize_key=False, factorize_value=False, mixing="additive", learn_score_offset=True
    )
    twin = get_peft_model(small_decoder(), config).double().eval()
    pairs = [module for module in twin.modules() if hasattr(module, "key_full")]
    for pair, shift in zip(pairs, shifts(mimic), strict=True):
        pair.key_full.data = shift.magnitude_weight.detach()[:, None] * math.sqrt(HEAD_DIM)
        pair.value_full.data = shift.shift_vector.detach()[:, None].clone()
        pair.score_offset.data = -shift.magnitude_bias.detach()[:, None]
    return twin


@pytest.mark.parametrize("compat", ["exact", "official"])
def test_mimic_is_one_additive_pair_per_head(compat: str) -> None:
    mimic = adapted(MimICConfig())
    twin = hificl_twin(mimic)
    if compat == "official":
        both: list[Any] = [*shifts(mimic), *(part for part in twin.modules() if hasattr(part, "key_full"))]
        for module in both:
            module.unmasked_mass = True
    ours, theirs = logits(mimic), logits(twin)
    assert_close(ours, theirs, EXACT * theirs.abs().max().item(), "logits")
    assert (ours - logits(small_decoder())).abs().max() > 0.1, "the adapter changes nothing, so the test proves nothing"
    for model, output in ((mimic, ours), (twin, theirs)):
        output.square().mean().backward()
        assert all(leaf.grad is not None and leaf.grad.any() for leaf in model.parameters() if leaf.requires_grad)
    pairs: list[Any] = [module for module in twin.modules() if hasattr(module, "key_full")]
    trained: list[Any] = shifts(mimic)
    for pair, shift in zip(pairs, trained, strict=True):
        expected = pair.key_full.grad[:, 0] * math.sqrt(HEAD_DIM)
        for found, wanted in (
            (shift.magnitude_weight.grad, expected),
            (shift.shift_vector.grad, pair.value_full.grad[:, 0]),
            (shift.magnitude_bias.grad, -pair.score_offset.grad[:, 0]),
        ):
            assert_close(found, wanted, 100 * EXACT * wanted.abs().max().item(), "gradient")


def attention_by_hand(altered: bool, shifts_of: list[WeightedShift]) -> Any:
    """Write the paper's formula as a transformers attention function; it reads the parameters and nothing else."""

    def attention(
        module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scaling: float, **_: Any
    ) -> tuple[Tensor, None]:
        shift = shifts_of[module.layer_idx]
        rows = []
        for head in range(HEADS):
            of_head = head // (HEADS // KV_HEADS)
            own = query[:, head]
            scores = own @ key[:, of_head].transpose(1, 2) * scaling
            scores = scores.masked_fill(~mask[:, 0], -torch.inf) if mask.dtype == torch.bool else scores + mask[:, 0]
            attended = torch.softmax(scores, dim=-1) @ value[:, of_head]
            real = torch.exp(scores).sum(-1, keepdim=True)
            learned = torch.exp(own @ shift.magnitude_weight[head] + shift.magnitude_bias[head])[..., None]
            share = learned / (learned + real)
            if altered:
                moved = own * torch.diagonal(shift.projection_weight[head]) + shift.projection_bias[head]
                rows.append((1 - share) * attended + share * moved)
            else:
                rows.append(attended + share * shift.shift_vector[head])
        return torch.stack(rows, dim=2), None

    return attention


@pytest.mark.parametrize("form", ["original", "altered"])
def test_mimic_is_its_formula(form: str) -> None:
    mimic = adapted(MimICConfig(form=form))
    AttentionInterface.register("by_hand", attention_by_hand(form == "altered", shifts(mimic)))
    base = small_decoder()
    visible = padded_batch()["attention_mask"].bool()
    base.config._attn_implementation = "by_hand"
    full = torch.ones(11, 11, dtype=torch.bool).tril() & visible[:, None]
    mask = torch.where(full, 0.0, -1e30).double()[:, None]
    batch = padded_batch() | {"attention_mask": mask}
    expected = base(**batch, use_cache=False).logits[visible]
    assert_close(logits(mimic), expected, EXACT * expected.abs().max().item(), form)


def test_only_the_diagonal_of_the_altered_form_acts() -> None:
    """The same function is stored with d instead of d times d numbers."""
    altered = adapted(MimICConfig(form="altered"))
    small = adapted(MimICConfig(form="altered_diagonal"))
    for short, long in zip(shifts(small), shifts(altered), strict=True):
        for name, parameter in short.named_parameters():
            stored = getattr(long, name).detach()
            parameter.data = stored.diagonal(dim1=1, dim2=2).clone() if name == "projection_weight" else stored.clone()
    before = logits(altered)
    assert_close(logits(small), before, EXACT, "logits")
    for shift in shifts(altered):
        shift.projection_weight.data += torch.rand(HEAD_DIM, HEAD_DIM).double().fill_diagonal_(0)
    assert_close(logits(altered), before, 0.0, "logits after the rest of the matrix has changed")


def test_altered_adapters_mix_per_row() -> None:
    """Rows with a gain, rows without, and rows of the base in one batch."""
    model = adapted(MimICConfig(form="altered"))
    model.add_adapter("diagonal", MimICConfig(form="altered_diagonal"))
    model.double().eval()
    batch, names = padded_batch(), ["diagonal", "__base__", "default"]
    with torch.no_grad():
        mixed = model(**batch, adapter_names=names).logits
        for row, name in enumerate(names):
            if name == "__base__":
                with model.disable_adapter():
                    alone = model(**batch).logits[row]
            else:
                model.set_adapter(name)
                alone = model(**batch).logits[row]
            real = batch["attention_mask"][row].bool()
            assert_close(mixed[row][real], alone[real], EXACT * alone.abs().max().item(), name)


def test_half_precision_keeps_its_dtype_and_stays_close() -> None:
    double = adapted(MimICConfig(form="altered"))
    half = adapted(MimICConfig(form="altered"), torch.bfloat16)
    plain, exact = small_decoder(torch.bfloat16), small_decoder()
    found = logits(half)
    assert found.dtype == torch.bfloat16
    budget = rounding_budget(logits(plain).float(), logits(exact))
    assert_close(found.double(), logits(double), budget, "bfloat16")


def test_initial_values() -> None:
    """Weight of the magnitude 0.02 normal, bias zero, vector 0.001 normal."""
    torch.manual_seed(5)
    site = Site("attention", heads=37, kv_heads=1, head_dim=211, value_dim=211, is_cross_attention=False)
    shift = WeightedShift(site, MimICConfig())
    assert shift.magnitude_weight.std().item() == pytest.approx(0.02, rel=0.03)
    assert shift.shift_vector.std().item() == pytest.approx(0.001, rel=0.03)
    assert abs(shift.magnitude_weight.mean().item()) < 0.001
    assert not shift.magnitude_bias.any()
    altered = WeightedShift(site, MimICConfig(form="altered"))
    assert altered.projection_weight.std().item() == pytest.approx(0.001, rel=0.03)
    assert not altered.projection_bias.any()


def test_numbers_of_parameters() -> None:
    counts = {"original": 2 * HEAD_DIM + 1, "altered_diagonal": 3 * HEAD_DIM + 1}
    counts["altered"] = HEAD_DIM**2 + 2 * HEAD_DIM + 1
    for form, per_head in counts.items():
        model = get_peft_model(small_decoder(), MimICConfig(form=form))
        trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        assert trained == LAYERS * HEADS * per_head


def test_attention_with_more_than_a_softmax_is_refused_by_name() -> None:
    model = get_peft_model(TEXT_FAMILIES["gemma2"].build(), MimICConfig())
    with pytest.raises(InputError, match=r"self_attn: additive mixing \(.*, MimIC\) .* not defined .* with softcap"):
        model(input_ids=torch.tensor([[5, 7, 11]]))


def test_refusals() -> None:
    with pytest.raises(InputError, match=r"form='new' is unknown; choose 'original' or 'altered'"):
        MimICConfig(form="new")
    with pytest.raises(InputError, match="compat='loose' is unknown"):
        MimICConfig(compat="loose")
    uneven = Site("layers.0.attention", heads=3, kv_heads=3, head_dim=5, value_dim=7, is_cross_attention=False)
    with pytest.raises(InputError, match=r"layers\.0\.attention: .*queries \(size 5\) to outputs \(size 7\)"):
        WeightedShift(uneven, MimICConfig(form="altered"))
    assert isinstance(WeightedShift(uneven, MimICConfig()), nn.Module)
