"""What a fit draws: the same for the same seed, never the query among its demonstrations, never the held-out part."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from hificl.backbones import encode
from hificl.data import Example
from hificl.errors import InputError
from hificl.methods.fitting import Fitting
from hificl.methods.task_vector import TaskVectorConfig

Asked = list[tuple[Example, tuple[Example, ...]]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Collects every query that is encoded, with its demonstrations."""
    seen: Asked = []
    ask = Fitting.ask

    def listening(self: Fitting, query: Example, demonstrations: Any = (), model: Any = None) -> Any:
        seen.append((query, tuple(demonstrations)))
        return ask(self, query, demonstrations, model)

    monkeypatch.setattr(Fitting, "ask", listening)
    return seen


def test_demonstrations_never_contain_the_dummy_query(fitting: Fitting, asked: Asked) -> None:
    """Three rounds through seven examples; a query that comes again gets other demonstrations."""
    fitting.prompts(21, 3, "test")
    assert len(asked) == 21
    known = {one.id for one in fitting.examples}
    for query, shown in asked:
        assert query.id not in {one.id for one in shown}
        assert {query.id, *(one.id for one in shown)} <= known
    assert [len({query.id for query, _ in asked[start : start + 7]}) for start in (0, 7, 14)] == [7, 7, 7]
    of_first = {tuple(one.id for one in shown) for query, shown in asked if query == asked[0][0]}
    assert len(of_first) == 3


def test_shuffled_prompts_permute_the_answers_among_the_demonstrations(fitting: Fitting, asked: Asked) -> None:
    plain, shuffled = fitting.prompts(7, 4, "test"), fitting.prompts(7, 4, "test", shuffled=True)
    moved = 0
    for (query, shown), (same_query, mixed) in zip(asked[:7], asked[7:], strict=True):
        assert query == same_query
        assert [one.id for one in shown] == [one.id for one in mixed]
        assert sorted(one.answers[0] for one in shown) == sorted(one.answers[0] for one in mixed)
        moved += [one.answers for one in shown] != [one.answers for one in mixed]
    assert moved >= 5
    assert [one.answer_ids for one in plain] == [one.answer_ids for one in shuffled], "the right answer stays"


def test_prompts_are_those_of_evaluation(fitting: Fitting, asked: Asked) -> None:
    prompt = fitting.prompts(1, 2, "test")[0]
    query, shown = asked[0]
    expected = encode(fitting.backbone, query, demonstrations=shown)
    assert prompt.input_ids == expected.input_ids
    assert fitting.backbone.tokenizer.decode(prompt.answer_ids).strip() == query.answers[0]


def test_draws_depend_on_seed_and_purpose_alone(fitting: Fitting) -> None:
    def ids(of: Fitting, purpose: str) -> list[str]:
        return [one.id for one in of.draw(7, purpose)]

    assert ids(fitting, "a") == ids(replace(fitting), "a")
    assert ids(fitting, "a") != ids(fitting, "b")
    assert ids(fitting, "a") != ids(replace(fitting, seed=4), "a")


def test_an_adapted_model_is_asked_without_the_instruction_for_frozen_ones(fitting: Fitting) -> None:
    prompt = replace(fitting.backbone.prompt, head="look ", head_in="frozen")
    instructed = replace(fitting, backbone=replace(fitting.backbone, prompt=prompt))
    query = fitting.examples[0]
    adapted = instructed.new_model(TaskVectorConfig(layer=0))
    plain = fitting.ask(query).input_ids
    assert instructed.ask(query, model=adapted).input_ids == plain
    assert len(instructed.ask(query).input_ids) > len(plain)


def test_a_new_model_leaves_the_backbone_as_it_is(fitting: Fitting) -> None:
    model = fitting.new_model(TaskVectorConfig(layer=1))
    assert not model.training
    assert not any("hificl" in name for name, _ in fitting.backbone.model.named_modules())
    shared = {tensor.data_ptr() for tensor in fitting.backbone.model.parameters()}
    assert shared == {tensor.data_ptr() for tensor in model.parameters()}


def test_score_reads_the_metric(fitting: Fitting, monkeypatch: pytest.MonkeyPatch) -> None:
    class Made:
        texts = [answer for one in fitting.held_out[:3] for answer in one.answers] + ["nothing"]

    monkeypatch.setattr("hificl.methods.fitting.generate_answers", lambda *_: Made)
    model = fitting.new_model(TaskVectorConfig(layer=1))
    assert fitting.score(model) == 75.0


def test_places_follow_the_layers_of_the_config(fitting: Fitting) -> None:
    def layers(chosen: Any) -> list[int]:
        return [place.layer for place in fitting.places(TaskVectorConfig(layers_to_transform=chosen), "mlp_output")]

    assert (layers(None), layers(1), layers([0])) == ([0, 1], [1], [0])


def test_what_cannot_be_fitted_is_refused(fitting: Fitting) -> None:
    with pytest.raises(InputError, match="no example was given"):
        replace(fitting, examples=[])
    silent = Example("dumb", [], "what?", [])
    with pytest.raises(InputError, match="'dumb': no answer to fit on"):
        replace(fitting, held_out=[silent])
    with pytest.raises(InputError, match="give holdout a share such as 0.2"):
        replace(fitting, held_out=()).to_choose_by(3)
    assert len(fitting.to_choose_by(3)) == 3
    with pytest.raises(InputError, match="7 demonstrations wanted"):
        fitting.prompts(1, 7, "test")


def test_streams_of_random_numbers_are_independent(fitting: Fitting) -> None:
    first, again, other = (torch.rand(3, generator=fitting.generator(name)) for name in ("a", "a", "b"))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
