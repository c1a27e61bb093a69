"""In-context vectors against the formulas written out for one token at a time."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from closeness import assert_close, rounding_budget
from hificl.errors import InputError
from hificl.methods.fitting import Fitting
from hificl.methods.icv import ICVConfig, InContextVector, fit, hidden_states, main_direction
from hificl.tuner import Call, interventions
from hificl.tuner.places import Place

from .by_hand import after, batch_of, decoder_layers, logits_of, steps_of


def shift_of(vector: Tensor, scale: float) -> InContextVector:
    shift = InContextVector(Place("mlp_output", 0, "mlp", vector.numel(), 3, 5), scale)
    shift.shift_vector = vector
    return shift


def shifted_by_hand(token: Tensor, vector: Tensor, scale: float) -> Tensor:
    """The authors' formula for one token [hidden]."""

    def norm(values: Tensor) -> Tensor:
        return (values * values).sum().sqrt()

    cosine = (token * -vector).sum() / (norm(token) * norm(vector))
    strength = 1 + max(0.0, float(cosine))
    moved = token / norm(token) + scale * strength * vector / norm(vector)
    return norm(token) * moved / norm(moved)


@pytest.mark.parametrize("scale", [0.1, 0.8, -0.3])
def test_the_shift_is_its_formula_and_keeps_the_norm(scale: float) -> None:
    generator = torch.Generator().manual_seed(1)
    activation = 4 * torch.randn(3, 5, 7, generator=generator)
    vector = torch.randn(7, generator=generator)
    activation[0, 0] = -2 * vector
    found = shift_of(vector, scale)(activation, Call(is_prefill=False))
    exact = torch.stack([shifted_by_hand(one, vector.double(), scale) for one in activation.double().flatten(0, 1)])
    single = torch.stack([shifted_by_hand(one, vector, scale) for one in activation.flatten(0, 1)])
    assert_close(found.flatten(0, 1), exact.float(), rounding_budget(single, exact))
    norms = activation.norm(dim=-1)
    assert_close(found.norm(dim=-1), norms, rounding_budget(norms, activation.double().norm(dim=-1)), "norms")
    against = torch.cosine_similarity(activation, -vector, dim=-1)
    assert (against > 0).any()
    assert (against < 0).any()


def test_the_shift_is_computed_in_float32_and_zeros_stay_zero() -> None:
    vector = torch.randn(7, generator=torch.Generator().manual_seed(2))
    activation = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(3)).bfloat16()
    activation[1, 2] = 0
    shift = shift_of(vector, 0.1)
    found = shift(activation, Call(is_prefill=True))
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, shift(activation.float(), Call(is_prefill=True)).bfloat16())
    assert not found[1, 2].any()


def test_every_mlp_is_shifted_at_all_tokens_of_all_steps(fitting: Fitting) -> None:
    base = fitting.backbone
    prompts = [fitting.ask(one) for one in fitting.examples[:3]]
    model = fitting.new_model(ICVConfig(scale=0.3))
    placed: Any = interventions(model)
    assert list(placed) == [("mlp_output", 0), ("mlp_output", 1)]
    for layer, intervention in enumerate(placed.values()):
        intervention.shift_vector.copy_(torch.randn(60, generator=torch.Generator().manual_seed(layer)))
    found, found_steps = logits_of(base, model, prompts), steps_of(base, model, prompts)
    call = Call(is_prefill=True)
    layers = decoder_layers(base.model)
    with (
        after(layers[0].mlp, lambda output: placed["mlp_output", 0](output, call)),
        after(layers[1].mlp, lambda output: placed["mlp_output", 1](output, call)),
    ):
        assert torch.equal(found, logits_of(base, base.model, prompts))
        for one, other in zip(found_steps, steps_of(base, base.model, prompts), strict=True):
            assert torch.equal(one, other)
    assert not torch.equal(found, logits_of(base, base.model, prompts))


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_the_direction_is_mean_plus_first_component(side: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the eigenvectors of the covariance; the first example, far out, gives the sign."""
    generator = torch.Generator().manual_seed(4)
    axis = torch.randn(3, 5, generator=generator, dtype=torch.float64)
    weights = torch.tensor([-9.0, 2.0, 1.0, 4.0, 2.0, 0.5], dtype=torch.float64)
    noise = 0.1 * torch.randn(6, 3, 5, generator=generator, dtype=torch.float64)
    change = 7 + weights[:, None, None] * axis + noise
    svd = torch.linalg.svd

    def either_way(matrix: Tensor, **options: Any) -> tuple[Tensor, Tensor, Tensor]:
        left, sizes, right = svd(matrix, **options)
        return side * left, sizes, side * right

    monkeypatch.setattr(torch.linalg, "svd", either_way)
    found, share = main_direction(change)
    flat = change.flatten(1)
    centred = flat - flat.mean(dim=0)
    sizes, vectors = torch.linalg.eigh(centred.T @ centred)
    component = vectors[:, -1]
    component = component * (centred[0] @ component).sign()
    assert_close(found.flatten(), flat.mean(dim=0) + component, 1e-9)
    assert share == pytest.approx(float(sizes[-1] / sizes.sum()))
    assert torch.cosine_similarity(component, axis.flatten(), dim=0) < -0.99


@pytest.mark.parametrize("examples", [1, 4, 100])
def test_changes_that_do_not_vary_have_their_mean_as_direction(examples: int) -> None:
    """One change, and equal ones, of which the rounded mean differs a little."""
    change = (1e3 * torch.randn(2, 3, generator=torch.Generator().manual_seed(5))).expand(examples, 2, 3)
    found, share = main_direction(change)
    assert share == 0.0
    assert torch.equal(found, change.mean(dim=0))
    varied = change + torch.randn(examples, 2, 3, generator=torch.Generator().manual_seed(6))
    component = main_direction(varied)[0] - varied.mean(dim=0)
    assert float(component.norm()) == pytest.approx(0.0 if examples == 1 else 1.0, abs=1e-3)


def test_autocast_rounds_nothing_of_the_shift() -> None:
    generator = torch.Generator().manual_seed(7)
    shift = shift_of(torch.randn(201, generator=generator), 0.5)
    activation = torch.randn(2, 5, 201, generator=generator) - 0.3 * shift.shift_vector
    expected = shift(activation, Call(is_prefill=True))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(shift(activation, Call(is_prefill=True)), expected)


def test_hidden_states_are_those_around_every_layer(fitting: Fitting) -> None:
    """The states that transformers returns; their last one has passed the final norm."""
    base = fitting.backbone
    prompts = [fitting.ask(one) for one in fitting.examples[:3]]
    plain = [replace(one, answer_ids=[]) for one in prompts]
    found = hidden_states(fitting, plain)
    with torch.no_grad():
        states = base.model(**batch_of(base, prompts), use_cache=False, output_hidden_states=True).hidden_states
        last = base.model.get_decoder().norm(found[:, -1])
    assert torch.equal(found[:, :-1], torch.stack([state[:, -1] for state in states[:-1]], dim=1))
    assert_close(last, states[-1][:, -1], 8 * torch.finfo(torch.float32).eps * float(states[-1].abs().max()))


def test_the_fit_looks_from_the_question_to_the_answer(fitting: Fitting) -> None:
    fitted = fit(fitting, ICVConfig(demonstrations=5))
    targets = [fitting.ask(one) for one in fitting.draw(5, "demonstrations")]
    end = len(fitting.backbone.end_ids)
    assert all(len(one.answer_ids) >= 1 for one in targets)
    assert end == 1, "the end marker is no part of the answer"
    sources = [replace(one, answer_ids=[]) for one in targets]
    expected, share = main_direction(hidden_states(fitting, targets) - hidden_states(fitting, sources))
    placed: Any = interventions(fitted.model)
    for layer in (0, 1):
        assert torch.equal(placed["mlp_output", layer].shift_vector, expected[layer + 1])
    assert fitted.report == {"demonstrations": 5, "share_of_variance": share}
    assert fitted.model.peft_config["default"].to_dict()["scale"] == 0.1


def test_a_scale_is_a_number() -> None:
    with pytest.raises(InputError, match="ICVConfig: scale is inf; give a finite number"):
        ICVConfig(scale=math.inf)
