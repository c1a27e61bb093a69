"""SEED-Bench, its image questions: four choices, the answer is a letter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hificl.data import Example, ImageSource
from hificl.data.tables import Row
from hificl.tasks.benchmarks import fields
from hificl.tasks.benchmarks.benchmark import Benchmark, SourceFile
from hificl.tasks.benchmarks.columns import Columns
from hificl.tasks.benchmarks.json_rows import picked, rows_of_array
from hificl.tasks.benchmarks.root import Root, plain_name, under
from hificl.tasks.benchmarks.split import Split, double_ids, key_of
from hificl.tasks.protocol import Protocol

_FILE = "SEED-Bench.json"
_LETTERS = ("A", "B", "C", "D")
_CHOICES = {letter: f"choice_{letter.lower()}" for letter in _LETTERS}
_PAGE = "the SEED-Bench data set of AILab-CVC"


def _is_image(row: Row, split: str) -> bool:
    """Leave out the questions about videos; a row that does not say what it is stays in, to be refused."""
    kind = row.cells.get("data_type")
    return not (isinstance(kind, str) and kind.strip().lower() == "video")


def _key(row: Row) -> str:
    return fields.name(row, "question_id")


def _example(row: Row, images: Sequence[ImageSource], split: str) -> Example:
    fields.one_of(row, "data_type", ("image",))
    name, question = _key(row), fields.text(row, "question")
    choices = {letter: fields.text(row, field) for letter, field in _CHOICES.items()}
    written = " ".join(f"{letter}. {choice}" for letter, choice in choices.items())
    meta: dict[str, Any] = {
        "question": question,
        "choices": choices,
        "question_type_id": fields.name(row, "question_type_id"),
    }
    if row.cells.get("data_id") is not None:
        meta["image_key"] = f"seed_bench:{fields.name(row, 'data_id')}"
    answer = fields.one_of(row, "answer", _LETTERS)
    asked = f"{question} Choices: {written} Answer with the letter."
    return Example(f"seed_bench/{split}/{name}", images, asked, [answer], meta)


def _open_raw(root: Root, split: str) -> Split | None:
    path = root.find(_FILE)
    if path is None:
        return None
    rows = rows_of_array(path, "questions", picked("question_id", "data_type"))
    heads = [Row(rows.place(index), kept or {}) for index, kept in enumerate(rows.kept)]
    order = [index for index, head in enumerate(heads) if _is_image(head, split)]

    def place(position: int) -> str:
        return rows.place(order[position])

    def example(position: int) -> Example:
        row = rows.row(order[position])
        name = plain_name(row, "data_id", fields.name(row, "data_id"))
        return _example(row, [root.image(row, "data_id", under(("SEED-Bench-image", ""), name))], split)

    return Split(
        split, "raw", len(order), example, place, double_ids([key_of(heads[one], _key) for one in order], place)
    )


SEED_BENCH = Benchmark(
    name="seed_bench",
    description="Questions about images with four choices each, nine kinds of understanding",
    license="CC BY-NC 4.0",
    source="SEED-Bench, Li et al. 2023; its image questions",
    metric="choice_accuracy",
    kind="choice",
    files=(
        SourceFile(_FILE, ("test",), _PAGE),
        SourceFile("SEED-Bench-image/", ("test",), _PAGE),
    ),
    open_raw=_open_raw,
    mirrors=(
        Columns(
            {
                "question_id": "question_id",
                "question": "question",
                "answer": "answer",
                "data_type": "data_type",
                "question_type_id": "question_type_id",
                **{field: field for field in _CHOICES.values()},
            },
            optional={"data_id": "data_id"},
        ),
    ),
    mirror_splits={"test": ("test",)},
    key_fields=("question_id", "data_type"),
    key=_key,
    wanted=_is_image,
    example=_example,
    counts={"test": 14_233},
    protocols={
        "hificl": Protocol(
            name="hificl",
            description="HiFICL's code: the first 1,000 questions in file order to learn from, all others scored; the "
            "file is sorted by kind of question, so the two sets differ in kind",
            support_split="test",
            query_split="test",
            support_size=1000,
        ),
        "evaluation": Protocol("evaluation", "All image questions; no support set", None, "test"),
    },
)
"""The benchmark's entry; ids are ``seed_bench/test/101669``."""
