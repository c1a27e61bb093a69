"""Hateful Memes: whether a picture with a text on it is hateful."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hificl.data import Example, ImageSource
from hificl.data.tables import Row
from hificl.tasks.benchmarks import fields
from hificl.tasks.benchmarks.benchmark import Benchmark, SourceFile
from hificl.tasks.benchmarks.columns import Columns
from hificl.tasks.benchmarks.json_rows import picked, rows_of_lines
from hificl.tasks.benchmarks.root import Root
from hificl.tasks.benchmarks.split import Split, double_ids, key_of
from hificl.tasks.protocol import Protocol

_FILES = {
    "train": ("train.jsonl",),
    "val": ("dev_seen.jsonl", "dev_unseen.jsonl"),
    "dev_seen": ("dev_seen.jsonl",),
    "dev_unseen": ("dev_unseen.jsonl",),
    "test_seen": ("test_seen.jsonl",),
    "test_unseen": ("test_unseen.jsonl",),
}
_ANSWERS = ("no", "yes")
_PAGE = "the Hateful Memes Challenge page of Meta AI, after its form"


def _key(row: Row) -> str:
    return fields.name(row, "id")


def _example(row: Row, images: Sequence[ImageSource], split: str) -> Example:
    name, text = _key(row), fields.text(row, "text")
    meta: dict[str, Any] = {"text": text, "image_key": f"hateful_memes:{name}"}
    answers = []
    # The test files were first released without labels.
    if not split.startswith("test") or row.cells.get("label") is not None:
        meta["label"] = fields.integer(row, "label", high=1)
        answers = [_ANSWERS[meta["label"]]]
    question = f'is an image with written "{text}" on it. Is it hateful?'
    return Example(f"hateful_memes/{split}/{name}", images, question, answers, meta)


def _open_raw(root: Root, split: str) -> Split | None:
    paths = [root.find(name) for name in _FILES[split]]
    files = [rows_of_lines(path, picked("id")) for path in paths if path is not None]
    if len(files) < len(paths):
        return None
    rows = [(file, index) for file in files for index in range(len(file))]
    keys = [key_of(Row(file.place(index), file.kept[index] or {}), _key) for file, index in rows]
    if split == "val":  # the two development files share most of their memes; the second mention is left out
        first = {key for key, (file, _) in zip(keys, rows, strict=True) if file is files[0] and isinstance(key, str)}
        kept = [at for at, (file, _) in enumerate(rows) if file is files[0] or keys[at] not in first]
        rows, keys = [rows[at] for at in kept], [keys[at] for at in kept]

    def place(position: int) -> str:
        file, index = rows[position]
        return file.place(index)

    def example(position: int) -> Example:
        file, index = rows[position]
        row = file.row(index)
        return _example(row, [root.image(row, "img", [fields.text(row, "img")])], split)

    return Split(split, "raw", len(rows), example, place, double_ids(keys, place))


_FIELDS = {"id": "id", "text": "text", "label": "label"}

HATEFUL_MEMES = Benchmark(
    name="hateful_memes",
    description="Is a picture with a text on it hateful? yes or no",
    license="Hateful Memes Dataset License Agreement; for research",
    source="Hateful Memes, Kiela et al. 2020",
    metric="yes_no_accuracy",
    kind="yes_no",
    files=(
        *(SourceFile(names[0], (split,), _PAGE) for split, names in _FILES.items() if split != "val"),
        SourceFile("img/", tuple(_FILES), _PAGE),
    ),
    open_raw=_open_raw,
    mirrors=(Columns(_FIELDS), Columns(_FIELDS, image="img")),
    mirror_splits={
        "train": ("train",),
        "val": ("validation", "val", "dev"),
        "dev_seen": ("dev_seen",),
        "dev_unseen": ("dev_unseen",),
        "test_seen": ("test_seen", "test"),
        "test_unseen": ("test_unseen",),
    },
    key_fields=("id",),
    key=_key,
    example=_example,
    counts={"train": 8_500, "dev_seen": 500, "dev_unseen": 540, "test_seen": 1_000, "test_unseen": 2_000},
    protocols={
        "hificl": Protocol(
            name="hificl",
            description="HiFICL's code: 1,000 training memes; scored are both development files, each meme once. It "
            "reports no score for them.",
            support_split="train",
            query_split="val",
            support_size=1000,
        ),
        "evaluation": Protocol("evaluation", "The file test_seen; no support set", None, "test_seen"),
    },
)
"""The benchmark's entry; ids are ``hateful_memes/val/42953``."""
