"""Distances to real demonstrations: zero against itself, known where a vector is added, those of plain hooks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import Tensor

from hificl.adapters.shared_weights import with_shared_weights
from hificl.adapters.stored import new_adapter
from hificl.backbones import Backbone, PromptForm, encode
from hificl.data import Example, choose_demonstrations
from hificl.diagnostics import Reader, fidelity
from hificl.errors import InputError
from hificl.tasks import TaskData
from hificl.tuner import HiFICLConfig, find_places, on_place
from methods.by_hand import after, decoder_layers

SHOTS, SEED = 3, 5
SITES = ("attention_output", "residual")


def compared(base: Backbone, readers: dict[str, Reader], data: TaskData, **options: Any) -> dict[str, Any]:
    return fidelity(base, readers, data.queries, data.support, shots=SHOTS, seed=SEED, **options)


def by_layer(line: dict[str, Any], site: str, tokens: str = "shared", metric: str = "l2") -> list[float]:
    found: list[float] = line[site][tokens][metric]["by_layer"]["mean"]
    return found


def test_the_reference_is_at_no_distance_from_itself(backbone: Backbone, data: TaskData) -> None:
    found = compared(backbone, {"icl_3": Reader(backbone.model, SHOTS)}, data)
    line = found["lines"]["icl_3"]
    for site in SITES:
        for tokens in ("shared", "answer"):
            assert by_layer(line, site, tokens) == by_layer(line, site, tokens, "relative_l2") == [0.0, 0.0]
            assert by_layer(line, site, tokens, "cosine") == pytest.approx([1.0, 1.0])
    assert line["kl"] == {"mean": 0.0, "ci95": [0.0, 0.0]}
    assert line["agreement"] == {"mean": 1.0, "ci95": [1.0, 1.0]}
    zero = found["lines"]["zero_shot"]["residual"]["shared"]["relative_l2"]["mean"]
    assert line["against_zero_shot"]["mean"] == pytest.approx(-zero, rel=1e-5)
    assert min(by_layer(found["lines"]["zero_shot"], "residual")) > 0.1


def test_an_added_vector_is_the_distance(double: Backbone, data: TaskData) -> None:
    """It is added to what the last layer returns, so that nothing else moves but the answers."""
    model: Any = with_shared_weights(double.model)
    place = find_places(model, "residual")[1]
    vector = torch.randn(place.hidden, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    handle = on_place(model, place, lambda state: state + vector)
    found = compared(double, {"moved": Reader(model, SHOTS)}, data, draws=1)
    handle.remove()
    line = found["lines"]["moved"]
    for tokens in ("shared", "answer"):
        assert by_layer(line, "residual", tokens) == pytest.approx([0.0, float(vector.norm())], rel=1e-5)
    assert by_layer(line, "attention_output") == [0.0, 0.0]
    assert line["kl"]["mean"] > 0
    assert list(found["lines"]) == ["moved", "zero_shot"]


def states_by_hand(base: Backbone, query: Example, shown: list[Example]) -> tuple[list[Tensor], Tensor]:
    """What each layer returns for one prompt alone, and the logits."""
    encoded = encode(base, query, demonstrations=shown, answer=query.answers[0])
    seen: list[Tensor] = []
    first, second = decoder_layers(base.model)
    ids = torch.tensor([[*encoded.input_ids, *encoded.answer_ids]])
    keep = lambda state: seen.append(state[0])  # noqa: E731
    with after(first, keep), after(second, keep), torch.no_grad():
        logits = base.model(input_ids=ids, pixel_values=encoded.inputs["pixel_values"].double()).logits[0]
    return seen, logits


def test_zero_shot_against_plain_hooks(double: Backbone, data: TaskData) -> None:
    query = data.queries[0]
    found = fidelity(double, {}, [query], data.support, shots=SHOTS, draws=1, seed=SEED)
    ours, our_logits = states_by_hand(double, query, [])
    theirs, their_logits = states_by_hand(double, query, choose_demonstrations(data.support, query, SHOTS, SEED))
    encoded = encode(double, query, answer=query.answers[0])
    head = double.tokenizer(double.prompt.start, add_special_tokens=False)["input_ids"]
    answers, shared = len(encoded.answer_ids), encoded.length - max(1, len(head)) - 1
    assert found["tokens"] == {"shared": shared, "answer": answers}
    line = found["lines"]["zero_shot"]
    for tokens, number in (("shared", shared), ("answer", answers)):
        length, share, cosine = [], [], []
        for one, other in zip(ours, theirs, strict=True):
            one, other = one[-number - 1 : -1], other[-number - 1 : -1]
            length.append((one - other).norm(dim=1).mean())
            share.append(((one - other).norm(dim=1) / other.norm(dim=1)).mean())
            cosine.append(torch.cosine_similarity(one, other, dim=1).mean())
        for metric, expected in (("l2", length), ("relative_l2", share), ("cosine", cosine)):
            assert by_layer(line, "residual", tokens, metric) == pytest.approx([float(x) for x in expected], rel=6e-6)
    chances, wanted = (logits[-answers - 1 : -1].log_softmax(-1) for logits in (our_logits, their_logits))
    assert line["kl"]["mean"] == pytest.approx(float((wanted.exp() * (wanted - chances)).sum(-1).mean()), rel=6e-6)
    same = (chances.argmax(-1) == wanted.argmax(-1)).double().mean()
    assert line["agreement"]["mean"] == pytest.approx(float(same), rel=1e-5)


def test_other_demonstrations_are_those_of_the_next_draw(backbone: Backbone, data: TaskData) -> None:
    """With two draws the distance is the same in both directions, so its mean is that of one of them."""
    query = data.queries[1]
    found = fidelity(backbone, {}, [query], data.support, shots=SHOTS, draws=2, seed=SEED)
    draws = [choose_demonstrations(data.support, query, SHOTS, SEED + draw * 2**32) for draw in (0, 1)]
    assert draws[0] != draws[1]
    fixed = Reader(backbone.model, SHOTS, choose=lambda _: draws[1])
    one = fidelity(backbone, {"fixed": fixed}, [query], data.support, shots=SHOTS, draws=1, seed=SEED)
    expected = by_layer(one["lines"]["fixed"], "residual")
    assert by_layer(found["lines"]["other_demonstrations"], "residual") == pytest.approx(expected, rel=1e-4)


def test_batches_do_not_matter(double: Backbone, data: TaskData) -> None:
    whole, single = (compared(double, {}, data, batch_size=size) for size in (4, 1))
    for name, line in whole["lines"].items():
        expected = by_layer(single["lines"][name], "attention_output")
        assert by_layer(line, "attention_output") == pytest.approx(expected, rel=1e-5)


def test_an_adapter_does_not_act_in_the_reference(backbone: Backbone, data: TaskData) -> None:
    torch.manual_seed(7)
    model = new_adapter(backbone, HiFICLConfig(num_virtual_tokens=5, r=3, init_weights=False)).eval()
    found = compared(backbone, {"hificl": Reader(model)}, data, draws=1)
    assert found["lines"]["zero_shot"] == compared(backbone, {}, data, draws=1)["lines"]["zero_shot"]
    assert found["lines"]["hificl"] != found["lines"]["zero_shot"]


def test_a_query_that_merges_with_a_demonstration_is_refused(backbone: Backbone, data: TaskData) -> None:
    form = PromptForm(
        name="merging", start="<s>", question="lor{images} {question} A:", answer=" {answer}", separator=" co", end="\n"
    )
    with pytest.raises(InputError, match=r"sample 'q\d+': token 1 of its query is \d+ .* and \d+ "):
        compared(replace(backbone, prompt=form), {}, data)


def test_unusable_input(backbone: Backbone, data: TaskData) -> None:
    adapted = new_adapter(backbone, HiFICLConfig(num_virtual_tokens=3, r=2))
    assert isinstance(adapted, PeftModel)
    wrong: list[tuple[str, Backbone, dict[str, Reader], TaskData]] = [
        ("no query was given", backbone, {}, TaskData(data.support, [])),
        ("hificl is in training mode", backbone, {"hificl": Reader(adapted.train())}, data),
        ("the backbone has an adapter", replace(backbone, model=adapted), {}, data),
        ("a reader has 4 shots and the reference 3", backbone, {"icl": Reader(backbone.model, 4)}, data),
        ("'q7' has no answer", backbone, {}, TaskData(data.support, [replace(data.queries[0], answers=[])])),
        ("3 demonstrations wanted", backbone, {}, TaskData(data.support[:2], data.queries)),
    ]
    for message, base, readers, given in wrong:
        with pytest.raises(InputError, match=message):
            compared(base, readers, given)
    with pytest.raises(InputError, match="draws is 0"):
        compared(backbone, {}, data, draws=0)
