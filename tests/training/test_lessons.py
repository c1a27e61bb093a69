"""The teacher's demonstrations: seeded by run and visit, never the query, never held out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hificl.backbones import Backbone, encode
from hificl.data import Example
from hificl.errors import InputError
from hificl.training import plan, train
from hificl.training.lessons import LESSON, LessonBatches, Lessons
from hificl.training.order import visiting_order
from hificl.training.samples import Batches, EncodedExamples, Visits

SHOTS = 2


def lessons(backbone: Backbone, examples: list[Example], seed: int = 0, epochs: int = 6) -> Lessons:
    order = visiting_order(len(examples), epochs * len(examples), seed=1, reshuffle=True)
    return Lessons(backbone, Visits(EncodedExamples(backbone, examples), order), SHOTS, seed)


def shown(visits: Lessons) -> list[tuple[str, ...]]:
    return [tuple(one.id for one in visits.demonstrations(place)) for place in range(len(visits))]


def test_query_is_never_among_its_demonstrations(backbone: Backbone, examples: list[Example]) -> None:
    visits = lessons(backbone, examples[:4], epochs=20)
    drawn = shown(visits)
    assert all(len(set(ids)) == SHOTS for ids in drawn)
    for place, ids in enumerate(drawn):
        assert examples[visits.visits.order[place]].id not in ids
    assert {one for ids in drawn for one in ids} == {example.id for example in examples[:4]}


def test_draw_depends_on_seed_and_visit(backbone: Backbone, examples: list[Example]) -> None:
    first = lessons(backbone, examples)
    assert shown(first) == shown(lessons(backbone, examples))
    assert shown(first) != shown(lessons(backbone, examples, seed=1))
    of_one = [ids for place, ids in enumerate(shown(first)) if first.visits.order[place] == 3]
    assert len(set(of_one)) > 1, "every visit of an example has the same demonstrations"


def test_prompt_is_that_of_evaluation_with_the_answer(backbone: Backbone, examples: list[Example]) -> None:
    visits = lessons(backbone, examples)
    lesson, place = visits[5], visits.visits.order[5]
    assert lesson.teacher is not None
    expected = encode(backbone, examples[place], demonstrations=visits.demonstrations(5))
    assert lesson.teacher.input_ids == expected.input_ids
    assert lesson.teacher.answer_ids == lesson.student.answer_ids
    assert lesson.tokens == lesson.student.length - 1


def test_teacher_reads_so_many_tokens_at_a_time(backbone: Backbone, examples: list[Example]) -> None:
    visits = lessons(backbone, examples)
    chosen = [visits[place] for place in range(7)]
    plain = Batches(backbone, {}, True)
    longest = max(lesson.teacher.length for lesson in chosen if lesson.teacher is not None)
    whole = LessonBatches(plain, plain, 0)(chosen)[LESSON]["teachers"]
    cut = LessonBatches(plain, plain, 3 * longest + 1)(chosen)[LESSON]["teachers"]
    assert [len(part["input_ids"]) for part in whole] == [7]
    assert [len(part["input_ids"]) for part in cut] == [3, 3, 1]
    counts = [lesson.tokens for lesson in chosen]
    found = [(sample, place) for part in cut for sample, place in part["rows"].tolist()]
    lengths = [part["input_ids"].shape[1] for part in cut for _ in part["input_ids"]]
    samples = [index for size in (3, 3, 1) for index in range(size)]
    expected = zip(samples, counts, lengths, strict=True)
    assert found == [(sample, place) for sample, count, end in expected for place in range(end - count, end)]


def test_held_out_examples_are_never_shown(
    backbone: Backbone, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[str] = set()

    def noting(*args: Any, demonstrations: list[Example], **kwargs: Any) -> Any:
        seen.update(one.id for one in demonstrations)
        return encode(*args, demonstrations=demonstrations, **kwargs)

    monkeypatch.setattr("hificl.training.lessons.encode", noting)
    run = train(backbone, examples, output_dir=tmp_path, holdout=0.4, steps=5, teacher="cosine", teacher_shots=SHOTS)
    ids = run.record["sample_ids"]
    assert len(ids["held_out"]) == 4
    assert seen == set(ids["train"])


@pytest.mark.parametrize("shots, told", [(11, "11 demonstrations wanted"), (8, "use fewer than 8 shots")])
def test_shots_that_are_not_to_be_had_write_nothing(
    backbone: Backbone, examples: list[Example], tmp_path: Path, shots: int, told: str
) -> None:
    """Too few examples, or a context that is too short for the longest prompt of the run."""
    with pytest.raises(InputError, match=told):
        plan(backbone, examples, steps=3, teacher="mse", teacher_shots=shots)
    with pytest.raises(InputError, match=told):
        train(backbone, examples, output_dir=tmp_path / "run", steps=3, teacher="mse", teacher_shots=shots)
    assert not (tmp_path / "run").exists()
