"""Parquet mirrors of the same rows as in ``layouts``: the columns and files that people have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from tasks.benchmarks import layouts
from tasks.benchmarks.layouts import picture

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write_parquet(
    path: Path, rows: Sequence[Mapping[str, Any]], types: Mapping[str, pa.DataType] | None = None
) -> None:
    """Write rows in groups of four; ``types`` gives the columns whose type must not be guessed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    guessed = pa.Table.from_pylist([dict(row) for row in rows])
    fields = [pa.field(one.name, (types or {}).get(one.name, one.type)) for one in guessed.schema]
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], pa.schema(fields)), path, row_group_size=4)


def stored(number: int, path: str | None = None) -> dict[str, Any]:
    """Return a cell of an image column: the bytes of a file and its name."""
    return {"bytes": picture(number), "path": path}


def vqav2(root: Path) -> None:
    """Write the validation split in two shards, as mirrors do that have no training split."""
    questions, annotations = layouts.vqa_rows("val")
    rows = [
        {**annotation, **question, "image": stored(question["image_id"])}
        for question, annotation in zip(questions, annotations, strict=True)
    ]
    write_parquet(root / "data" / "validation-00000-of-00002.parquet", rows[:6], {"image": IMAGE})
    write_parquet(root / "data" / "validation-00001-of-00002.parquet", rows[6:], {"image": IMAGE})


def ok_vqa(root: Path) -> None:
    """Write val2014 with answers as plain texts and question ids as texts."""
    questions, annotations = layouts.vqa_rows("val", stemmed=True)
    rows = [
        {
            "question_id": str(question["question_id"]),
            "question": question["question"],
            "answers": [entry["answer"] for entry in annotation["answers"]],
            "image": stored(question["image_id"]),
        }
        for question, annotation in zip(questions, annotations, strict=True)
    ]
    write_parquet(root / "val2014-00000-of-00001-abc123.parquet", rows, {"image": IMAGE})


def coco_captions(root: Path) -> None:
    """Write a mirror of Karpathy's splits without images; these lie beside it."""
    rows = layouts.karpathy_rows(coco=True)
    for number, row in enumerate(rows):
        layouts.write_picture(root / "images" / row["filepath"] / row["filename"], number)
    for split, mirror in {"train": "train", "restval": "restval", "val": "validation", "test": "test"}.items():
        chosen = [
            {**row, "sentences": [one["raw"] for one in row["sentences"]], "url": "http://example.org/a.jpg"}
            for row in rows
            if row["split"] == split
        ]
        write_parquet(root / "data" / f"{mirror}-00000-of-00001.parquet", chosen)


def flickr30k(root: Path) -> None:
    """Write everything into one file named test, with the column that tells the split."""
    rows = [
        {
            "filename": row["filename"],
            "caption": [one["raw"] for one in row["sentences"]],
            "split": row["split"],
            "image": stored(number, row["filename"]),
        }
        for number, row in enumerate(layouts.karpathy_rows(coco=False))
    ]
    write_parquet(root / "TEST" / "test.parquet", rows, {"image": IMAGE})


def ocr_vqa(root: Path) -> None:
    """Write one row per book, with lists of questions and answers."""
    books = layouts.ocr_books()
    for split, (number, mirror) in {"train": (1, "train"), "val": (2, "validation"), "test": (3, "test")}.items():
        rows = [
            {"image_id": name, "image": stored(at), **{key: book[key] for key in ("questions", "answers", "title")}}
            for at, (name, book) in enumerate(books.items())
            if book["split"] == number
        ]
        assert rows, split
        write_parquet(root / f"{mirror}.parquet", rows, {"image": IMAGE})


def seed_bench(root: Path) -> None:
    """Write the test split with lists of images; a video has several frames."""
    rows = [
        {**row, "image": [stored(number)] * (3 if row["data_type"] == "video" else 1)}
        for number, row in enumerate(layouts.seed_rows())
    ]
    write_parquet(root / "data" / "test-00000-of-00001.parquet", rows, {"image": pa.list_(IMAGE)})


def mme(root: Path) -> None:
    """Write the test split; the image is a column of bytes."""
    rows = [{**row, "image": picture(number // 2)} for number, row in enumerate(layouts.mme_rows())]
    write_parquet(root / "test" / "0000.parquet", rows)


def hateful_memes(root: Path) -> None:
    """Write train and validation with image paths; the images lie beside them."""
    memes = layouts.meme_rows()
    for name, mirror in {"train": "train", "dev_seen": "validation"}.items():
        write_parquet(root / f"{mirror}.parquet", [{**row, "id": str(row["id"])} for row in memes[name]])
        for row in memes[name]:
            layouts.write_picture(root / row["img"], row["id"])


def chair(root: Path) -> None:
    """Write the mirror of COCO captions and the official instance annotations."""
    layouts.chair(root)
    (root / "dataset_coco.json").unlink()
    coco_captions(root)


MIRRORS: dict[str, Callable[[Path], None]] = {
    "vqav2": vqav2,
    "ok_vqa": ok_vqa,
    "coco_captions": coco_captions,
    "flickr30k": flickr30k,
    "ocr_vqa": ocr_vqa,
    "seed_bench": seed_bench,
    "mme": mme,
    "hateful_memes": hateful_memes,
    "chair": chair,
}
"""Writes a parquet mirror of a benchmark into a folder."""
