"""OCR-VQA: questions about book covers whose answers are printed on them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hificl.data import Example, ImageSource
from hificl.data.tables import Row
from hificl.errors import InputError
from hificl.tasks.benchmarks import fields
from hificl.tasks.benchmarks.benchmark import Benchmark, SourceFile
from hificl.tasks.benchmarks.columns import Columns
from hificl.tasks.benchmarks.json_rows import rows_of_object
from hificl.tasks.benchmarks.root import Root, plain_name, under
from hificl.tasks.benchmarks.split import Split
from hificl.tasks.protocol import Protocol

_FILE = "dataset.json"
_NUMBERS = {"train": 1, "val": 2, "test": 3}
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}$")
_META = {"title": "title", "author": "authorName", "genre": "genre"}


def _parts(row: Row) -> int:
    """Count the questions of a book; at least 1, so that a broken row does not vanish."""
    questions = row.cells.get("questions")
    return max(len(questions), 1) if isinstance(questions, list) else 1


def _example(row: Row, images: Sequence[ImageSource], split: str) -> Example:
    questions, answers, part = fields.items(row, "questions"), fields.items(row, "answers"), row.cells["part"]
    if len(questions) != len(answers) or not questions:
        raise fields.wrong(
            row, "answers", f"has {len(answers)} items for {len(questions)} questions", "correct the row"
        )
    image_id = fields.name(row, "image_id")
    meta: dict[str, Any] = {name: fields.optional_text(row, field) for name, field in _META.items()}
    return Example(
        f"ocr_vqa/{split}/{image_id}/{part}",
        images,
        fields.clean(row, f"questions[{part + 1}]", questions[part]),
        [fields.clean(row, f"answers[{part + 1}]", answers[part])],
        {**meta, "image_id": image_id, "image_key": f"ocr_vqa:{image_id}"},
    )


def _head(parsed: object) -> tuple[Any, int]:
    """Keep the split of a book and its number of questions."""
    if not isinstance(parsed, Mapping):
        return None, 1
    return parsed.get("split"), _parts(Row("", parsed))


def _open_raw(root: Root, split: str) -> Split | None:
    path = root.find(_FILE)
    if path is None:
        return None
    books = rows_of_object(path, "image", _head)
    order: list[tuple[int, int]] = []
    broken: dict[int, InputError] = {}
    for index, (number, parts) in enumerate(books.kept):
        known = number in _NUMBERS.values() and not isinstance(number, (bool, float))
        if not known:
            broken[len(order)] = InputError(
                f"{books.place(index)}: field 'split' is missing or not 1 (train), 2 (val) or 3 (test); correct the row"
            )
        if not known or number == _NUMBERS[split]:
            order += [(index, part) for part in range(parts if known else 1)]
    if len(order) == len(broken):
        return None

    def example(position: int) -> Example:
        index, part = order[position]
        row = books.row(index)
        row = Row(row.place, {**row.cells, "image_id": books.names[index], "part": part})
        suffix = _SUFFIX.search(fields.text(row, "imageURL"))
        name = plain_name(row, "image_id", fields.name(row, "image_id")) + (suffix.group() if suffix else "")
        return _example(row, [root.image(row, "image_id", under(("images", ""), name))], split)

    return Split(split, "raw", len(order), example, lambda position: books.place(order[position][0]), broken)


OCR_VQA = Benchmark(
    name="ocr_vqa",
    description="Questions about book covers: title, author, genre, edition, year",
    license="not stated on the project page; book covers, for research",
    source="OCR-VQA, Mishra et al. 2019, ocr-vqa.github.io",
    metric="exact_match",
    kind="vqa",
    files=(
        SourceFile(_FILE, tuple(_NUMBERS), "the OCR-VQA project page (ocr-vqa.github.io)"),
        SourceFile("images/", tuple(_NUMBERS), "the OCR-VQA project page, whose script fetches each cover"),
    ),
    open_raw=_open_raw,
    mirrors=(
        Columns(
            {"image_id": "image_id", "questions": "questions", "answers": "answers"},
            optional={name: name for name in _META.values()},
        ),
    ),
    mirror_splits={"train": ("train",), "val": ("validation", "val"), "test": ("test",)},
    key_fields=("image_id", "questions"),
    key=lambda row: f"{fields.name(row, 'image_id')}/{row.cells['part']}",
    parts=_parts,
    example=_example,
    counts={},
    protocols={
        "hificl": Protocol(
            name="hificl",
            description="HiFICL's code: 1,000 training questions, 10,000 validation questions. Its own list was not "
            "published; here they are drawn as its code draws without that list.",
            support_split="train",
            query_split="val",
            support_size=1000,
            query_size=10_000,
        ),
        "evaluation": Protocol("evaluation", "The whole test split; no support set", None, "test"),
    },
)
"""The benchmark's entry; ids are ``ocr_vqa/val/0123456789/2``: book and question, counted from 0."""
