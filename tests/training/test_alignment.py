"""Teacher and student must see the same tokens from the query on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hificl.backbones import Backbone, PromptForm, encode
from hificl.backbones.encoding import Encoded
from hificl.data import Example
from hificl.errors import InputError
from hificl.training import train
from hificl.training.alignment import aligned_tokens, query_start

CHAT = (
    "system: be brief\n{% for message in messages %}{{ message['role'] }}: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
PLAIN = PromptForm(name="plain", start="<s>", question="{images} {question} A:", answer=" {answer}", end="\n")
FORMS = {
    "begin mark": (PLAIN, "<s>"),
    "no begin mark": (replace(PLAIN, start=""), ""),
    "instruction": (replace(PLAIN, head="light yellow\n"), "<s>light yellow\n"),
    "instruction with demonstrations": (replace(PLAIN, head="light yellow\n", head_in="evaluation"), "<s>"),
    "chat": (PromptForm(name="chat", chat=True, question="{question}"), "system: be brief\n"),
}


def both(backbone: Backbone, examples: Sequence[Example], shots: int = 2) -> tuple[Encoded, Encoded]:
    example, answer = examples[0], examples[0].answers[0]
    shown = examples[1 : 1 + shots]
    return encode(backbone, example, answer=answer), encode(backbone, example, demonstrations=shown, answer=answer)


def formed(backbone: Backbone, form: PromptForm) -> Backbone:
    backbone.processor.chat_template = CHAT
    return replace(backbone, prompt=form)


@pytest.mark.parametrize("name", FORMS)
def test_everything_but_the_head_is_aligned(backbone: Backbone, examples: list[Example], name: str) -> None:
    form, head = FORMS[name]
    backbone = formed(backbone, form)
    student, teacher = both(backbone, examples)
    start = query_start(backbone, examples[0], student)
    assert backbone.tokenizer.decode(student.input_ids[:start]) == head
    count = aligned_tokens(backbone, student, teacher, start)
    assert count == student.length - start
    ours, theirs = (one.input_ids + one.answer_ids for one in (student, teacher))
    assert ours[-count:] == theirs[-count:]
    assert len(theirs) > 2 * count


def test_instruction_inside_the_turn_is_left_out_with_the_images(backbone: Backbone, examples: list[Example]) -> None:
    """A chat shows it between images and question of the first turn only."""
    backbone = formed(backbone, PromptForm(name="chat", chat=True, question="{question}", head="light yellow\n"))
    student, teacher = both(backbone, examples)
    start = query_start(backbone, examples[0], student)
    assert backbone.tokenizer.decode(student.input_ids[start:]).startswith("what color is the shape")
    assert aligned_tokens(backbone, student, teacher, start) == student.length - start


@pytest.mark.parametrize("part", ["query", "answer"])
def test_other_tokens_are_named_with_both_ids(backbone: Backbone, examples: list[Example], part: str) -> None:
    backbone = replace(backbone, prompt=PLAIN)
    student, teacher = both(backbone, examples)
    field = "input_ids" if part == "query" else "answer_ids"
    ids = list(getattr(teacher, field))
    place = len(ids) - len(student.input_ids) + 1 if part == "query" else 0
    own = ids[place]
    ids[place] = own + 5
    with pytest.raises(InputError) as caught:
        aligned_tokens(backbone, student, replace(teacher, **{field: ids}), 1)
    told = str(caught.value)
    assert f"sample 'q0': token 1 of its {part} is {own} (" in told
    assert f"and {own + 5} (" in told


def test_boundary_that_merges_stops_a_run_before_it_starts(
    backbone: Backbone, examples: list[Example], tmp_path: Path
) -> None:
    """After a demonstration the first letters of the query join its last token, after the begin mark they do not."""
    form = replace(PLAIN, question="lor{images} {question} A:", separator=" co")
    with pytest.raises(InputError, match=r"sample '.*': token 1 of its query is \d+ .* and \d+ "):
        train(
            replace(backbone, prompt=form),
            examples,
            output_dir=tmp_path / "run",
            steps=2,
            teacher="mse",
            teacher_shots=2,
        )
    assert not (tmp_path / "run").exists()


def test_head_that_merges_with_the_query_is_refused(backbone: Backbone, examples: list[Example]) -> None:
    form = replace(PLAIN, head=" co", question="lor{images} {question} A:")
    backbone = replace(backbone, prompt=form)
    with pytest.raises(InputError, match="sample 'q0': the tokens .* merge with the query"):
        query_start(backbone, examples[0], encode(backbone, examples[0], answer="red"))


def test_round_that_merges_with_the_demonstration_before_it_is_refused(
    backbone: Backbone, examples: list[Example]
) -> None:
    form = replace(PLAIN, question="lor{images} {question} A:", separator=" co", opening="in_adapter")
    with pytest.raises(InputError, match="sample 'q0': the tokens .* merge with the query"):
        encode(replace(backbone, prompt=form), examples[0])


def test_prompt_that_differs_in_the_middle_of_a_run_leaves_nothing(
    backbone: Backbone, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest prompt is looked at before the start; another one may still be the first that cannot be aligned."""
    calls = iter(range(100))

    def failing(*args: Any) -> int:
        if next(calls) == 5:
            raise InputError("sample 'q3': token 1")
        return aligned_tokens(*args)

    monkeypatch.setattr("hificl.training.lessons.aligned_tokens", failing)
    with pytest.raises(InputError, match="sample 'q3'"):
        train(backbone, examples, output_dir=tmp_path / "run", steps=9, teacher="mse", teacher_shots=2)
    assert not (tmp_path / "run").exists()
