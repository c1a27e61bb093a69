"""What must hold for every family, on its tiny twin."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from backbones.tiny_models import TWINS
from hificl.backbones import BACKBONES, Backbone, collate, encode, load_backbone
from hificl.backbones.prompts import Round, render
from hificl.data import Example


@pytest.fixture(scope="module", params=sorted(TWINS))
def twin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    folder: Path = tmp_path_factory.mktemp(request.param)
    TWINS[request.param](folder)
    loaded = load_backbone(folder, device="cpu")
    assert loaded.family is BACKBONES[request.param]
    return loaded


def test_teaching_continues_the_prompt_of_evaluation(twin: Backbone, examples: list[Example]) -> None:
    asked = encode(twin, examples[3], demonstrations=examples[:2])
    taught = encode(twin, examples[3], demonstrations=examples[:2], answer="light blue")
    assert taught.input_ids == asked.input_ids
    assert tuple(taught.answer_ids[-len(twin.end_ids) :]) == twin.end_ids
    assert twin.tokenizer.decode(taught.answer_ids, skip_special_tokens=True).strip() == "light blue"


def test_the_prompt_ends_as_the_form_says(twin: Backbone, examples: list[Example]) -> None:
    ids = encode(twin, examples[2]).input_ids
    rendered = render(twin.prompt, [Round(1, examples[2].question)])
    assert twin.tokenizer.decode(ids).rsplit("?", 1)[1] == rendered.rsplit("?", 1)[1]


def test_demonstrations_are_the_rounds_that_are_taught(twin: Backbone, examples: list[Example]) -> None:
    """The answer's ids in a demonstration are those that training appends."""
    taught = encode(twin, examples[1], answer=examples[1].answers[0])
    shown = encode(twin, examples[0], demonstrations=[examples[1]]).input_ids
    answer = taught.answer_ids[: -len(twin.end_ids)]
    assert any(shown[place : place + len(answer)] == answer for place in range(len(shown)))


def test_batches_padded_on_either_side_give_the_losses_of_single_rows(twin: Backbone, examples: list[Example]) -> None:
    parts = [encode(twin, one, answer=one.answers[0]) for one in (examples[0], examples[3], examples[6])]
    with torch.no_grad():
        single = [float(twin.model(**collate(twin, [part])).loss) for part in parts]
        tokens = [len(part.answer_ids) for part in parts]
        expected = sum(loss * count for loss, count in zip(single, tokens, strict=True)) / sum(tokens)
        for side in ("left", "right"):
            batch = collate(twin, parts, padding_side=side)  # type: ignore[arg-type]
            assert float(twin.model(**batch).loss) == pytest.approx(expected, rel=1e-5)


def test_a_later_answer_token_changes_no_earlier_logits(twin: Backbone, examples: list[Example]) -> None:
    """Fails when answers get the token type of a prefix that sees itself both ways."""
    batch = collate(twin, [encode(twin, examples[3], answer="light blue")])
    changed = {**batch, "input_ids": batch["input_ids"].clone()}
    changed["input_ids"][0, -2] += 1
    with torch.no_grad():
        before, after = (twin.model(**one).logits[0] for one in (batch, changed))
    torch.testing.assert_close(after[:-2], before[:-2], atol=1e-5, rtol=1e-5)
    assert not torch.equal(after[-2], before[-2])


@pytest.mark.parametrize("twin", ["idefics", "idefics2"], indirect=True)
def test_the_official_form_reaches_the_tokens(twin: Backbone, examples: list[Example]) -> None:
    """In evaluation with the instruction, in training without; the answer follows the colon either way."""
    official = twin.with_prompt("official")
    asked = official.tokenizer.decode(encode(official, examples[0]).input_ids)
    encoded = encode(official, examples[0], answer="light blue")
    taught = official.tokenizer.decode(encoded.input_ids)
    assert "Instruction: Provide an answer to the question. Use the image to answer." in asked
    assert "Instruction" not in taught
    assert asked.endswith("Answer:")
    assert taught.endswith("Answer:")
    assert official.tokenizer.decode(encoded.answer_ids).strip() == "light blue</s>"
