"""What the Trainer visits where more than the answers is learned: examples beside their prompt with demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from hificl.backbones import Backbone, Encoded, encode, with_opening
from hificl.data import Example, choose_demonstrations
from hificl.training.alignment import aligned_tokens, query_start
from hificl.training.aside import with_aside
from hificl.training.order import visiting_order
from hificl.training.recipes import Recipe
from hificl.training.samples import Batches, EncodedExamples, Visits

TEACHER_TOKENS = 1024
"""Tokens that a teacher on a CPU reads at a time: longer batches fall out of the caches and take a quarter longer."""

LESSON = "lesson"
"""Key in a batch of what is no argument of the model."""


@dataclass(frozen=True)
class Lesson:
    """One visit of an example."""

    student: Encoded
    """Query and answer."""

    tokens: int
    """Tokens of query, answer and end marker: the last ones, in both prompts."""

    teacher: Encoded | None = None
    """The same after demonstrations; None without a teacher."""


class Lessons(Dataset[Lesson]):
    """Puts a teacher's prompt beside every visit, its demonstrations drawn from the training examples.

    The draw depends on the seed, the place in the order of visits and the examples alone, so a resumed run draws alike.
    The query itself is never drawn, nor is anything held out, which is not among the examples.

    Args:
        backbone: Encodes the prompts.
        visits: The order of the examples.
        shots: Demonstrations per prompt; 0 for no teacher.
        seed: Seed of the draws.

    Raises:
        InputError: Too few examples for so many demonstrations, or the longest prompt of the run does not fit into the
            context or cannot be aligned. Later, at its visit, another one that cannot be aligned.
    """

    def __init__(self, backbone: Backbone, visits: Visits, shots: int, seed: int) -> None:
        self.backbone = backbone
        self.visits = visits
        self.shots = shots
        self.seed = seed
        self.encoded = visits.encoded
        self.starts: dict[int, int] = {}
        if shots:
            # Made before the run starts: if this one fits into the context, all do.
            _ = self[max(range(len(visits)), key=self._length)]

    def __len__(self) -> int:
        return len(self.visits)

    def __getitem__(self, position: int) -> Lesson:
        index = self.visits.order[position]
        student, example = self.visits[position], self.encoded.examples[index]
        if index not in self.starts:
            self.starts[index] = query_start(self.backbone, example, student)
        start = self.starts[index]
        if not self.shots:
            return Lesson(student, student.length - start)
        shown = self.demonstrations(position)
        # The frozen model has no pairs that hold the opening.
        taught_by = with_opening(self.backbone, "written")
        teacher = encode(taught_by, example, demonstrations=shown, answer=example.answers[0])
        return Lesson(student, aligned_tokens(self.backbone, student, teacher, start), teacher)

    def demonstrations(self, position: int) -> list[Example]:
        """Return what the teacher is shown at a visit, in the order of the prompt."""
        examples = self.encoded.examples
        # No other seed and visit give this number: a run has fewer than 2 ** 32 visits.
        return choose_demonstrations(
            examples, examples[self.visits.order[position]], self.shots, self.seed * 2**32 + position
        )

    def _length(self, position: int) -> int:
        """Compare prompts without encoding them: tokens of the query and of every demonstration alone."""
        own = self.encoded.lengths[self.visits.order[position]]
        return own + sum(self.encoded.length_of(one.id) for one in self.demonstrations(position))


def visits_of(encoded: EncodedExamples, recipe: Recipe, steps: int, seed: int) -> Visits | Lessons:
    """Return what a run of so many steps visits, with lessons where its recipe needs them.

    Raises:
        InputError: See :class:`Lessons`.
    """
    order_seed = seed if recipe.order_seed is None else recipe.order_seed
    order = visiting_order(
        len(encoded),
        steps * recipe.batch_size,
        order_seed,
        recipe.reshuffle,
        lengths=encoded.lengths if recipe.group_by_length else None,
        micro_batch_size=recipe.micro_batch_size,
    )
    visits = Visits(encoded, order)
    if not recipe.needs_lessons:
        return visits
    return Lessons(encoded.backbone, visits, recipe.teacher_shots if recipe.teacher else 0, seed)


class LessonBatches:
    """Collates lessons: the student's batch with, under ``LESSON``, which rows count and the teacher's batches.

    Args:
        students: Collates the students' prompts.
        teachers: Collates the teachers' prompts.
        teacher_tokens: Most tokens in one batch of the teacher; 0 for all at once.
    """

    def __init__(self, students: Batches, teachers: Batches, teacher_tokens: int) -> None:
        self.students = students
        self.teachers = teachers
        self.teacher_tokens = teacher_tokens

    def __call__(self, lessons: Sequence[Lesson]) -> dict[str, Any]:
        """Return the batch of the student with its lesson.

        It holds ``rows`` [rows 2], sample and position of query, answer and end tokens; ``tokens`` [rows], how many of
        them the sample of a row has; and ``teachers``, the batches of the teacher in the order of the samples, each
        with ``rows`` of its own, its ``labels``, and what lies aside.
        """
        batch: dict[str, Any] = self.students([lesson.student for lesson in lessons])
        counts = torch.tensor([lesson.tokens for lesson in lessons])
        batch[LESSON] = {
            "rows": _last(counts, batch["input_ids"].shape[1]),
            "tokens": counts.repeat_interleave(counts),
            "teachers": [self._teacher(part) for part in self._parts(lessons)],
        }
        return batch

    def _teacher(self, lessons: Sequence[Lesson]) -> dict[str, Any]:
        batch: dict[str, Any] = self.teachers([lesson.teacher for lesson in lessons if lesson.teacher is not None])
        counts = torch.tensor([lesson.tokens for lesson in lessons])
        return {**with_aside(batch), "rows": _last(counts, batch["input_ids"].shape[1])}

    def _parts(self, lessons: Sequence[Lesson]) -> list[Sequence[Lesson]]:
        lengths = [lesson.teacher.length for lesson in lessons if lesson.teacher is not None]
        if not lengths:
            return []
        size = max(1, self.teacher_tokens // max(lengths)) if self.teacher_tokens else len(lessons)
        return [lessons[start : start + size] for start in range(0, len(lessons), size)]


def _last(counts: Tensor, length: int) -> Tensor:
    """Return sample and position of the last ``counts`` places of rows of this length, padded on the left."""
    return (torch.arange(length) >= length - counts[:, None]).nonzero()
