"""COCO captions in Karpathy's splits: five sentences per image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hificl.data import Example, ImageSource
from hificl.data.tables import Row
from hificl.tasks.benchmarks import fields
from hificl.tasks.benchmarks.benchmark import Benchmark, SourceFile
from hificl.tasks.benchmarks.coco_images import FOLDERS, coco_key, coco_number
from hificl.tasks.benchmarks.columns import Columns
from hificl.tasks.benchmarks.karpathy import open_karpathy, sentences
from hificl.tasks.benchmarks.root import Root, plain_name, under
from hificl.tasks.benchmarks.split import Split
from hificl.tasks.protocol import Protocol

FILE = "dataset_coco.json"
_PARTS = ("train2014", "val2014")
_COCO = "the COCO download page, an archive of images"


def _cocoid(row: Row) -> int:
    """Return the COCO id of a row: its field, or the number in the file name; where both are there they agree."""
    number = coco_number(fields.name(row, "filename")) if row.cells.get("filename") is not None else None
    if row.cells.get("cocoid") is None:
        if number is None:
            raise fields.wrong(row, "filename", "is missing or has no COCO number", "add the field 'cocoid'")
        return number
    cocoid = fields.integer(row, "cocoid", high=10**12 - 1)
    if number not in (None, cocoid):
        raise fields.wrong(row, "cocoid", f"is {cocoid}, but 'filename' is {row.cells['filename']!r}", "correct both")
    return cocoid


def _find_image(root: Root, row: Row) -> Path:
    name = plain_name(row, "filename", fields.name(row, "filename"))
    if row.cells.get("filepath") is not None:
        fields.name(row, "filepath")  # refuses a path that leads out, also where the file name tells the folder
    part = next((part for part in _PARTS if f"_{part}_" in name), None) or fields.one_of(row, "filepath", _PARTS)
    return root.image(row, "filename", under(FOLDERS, f"{part}/{name}"))


def coco_example(row: Row, images: Sequence[ImageSource], split: str) -> Example:
    """Make the example of an image; the answers are its captions, the first is the training target."""
    image_id = _cocoid(row)
    meta: dict[str, Any] = {"image_id": image_id, "image_key": coco_key(image_id), "split": split}
    return Example(f"coco/{split}/{image_id}", images, "", sentences(row), meta)


def open_coco(root: Root, split: str) -> Split | None:
    """Open a split of Karpathy's file."""
    return open_karpathy(
        root, split, FILE, key=lambda row: str(_cocoid(row)), find_image=_find_image, example=coco_example
    )


COCO_CAPTIONS = Benchmark(
    name="coco_captions",
    description="Short captions of photographs (COCO), five references each, Karpathy's splits",
    license="annotations CC BY 4.0; images under the terms of Flickr",
    source="COCO Captions, Chen et al. 2015; splits of Karpathy and Fei-Fei 2015",
    metric="cider_d",
    kind="caption",
    files=(
        SourceFile(FILE, ("train", "restval", "val", "test"), "Karpathy's caption_datasets archive"),
        SourceFile("train2014/", ("train",), _COCO),
        SourceFile("val2014/", ("restval", "val", "test"), _COCO),
    ),
    open_raw=open_coco,
    mirrors=(
        Columns({"sentences": "sentences", "cocoid": "cocoid"}, optional={"filename": "filename", "split": "split"}),
        Columns({"sentences": "answer", "filename": "file_name"}, optional={"split": "split"}),
        Columns(
            {"sentences": "sentences", "filename": "filename"},
            image=None,
            optional={"cocoid": "cocoid", "filepath": "filepath", "split": "split"},
        ),
    ),
    mirror_splits={
        "train": ("train",),
        "restval": ("restval",),
        "val": ("validation", "val"),
        "test": ("test",),
    },
    find_image=_find_image,
    key_fields=("cocoid", "filename", "split"),
    key=lambda row: str(_cocoid(row)),
    wanted=lambda row, split: row.cells.get("split") in (split, None, "validation" if split == "val" else None),
    example=coco_example,
    counts={"train": 82_783, "restval": 30_504, "val": 5_000, "test": 5_000},
    traps={
        "train": "training images are Karpathy's 'train' (82,783), as in the published code; studies that speak of "
        "113,287 add 'restval'."
    },
    larger="It is not Karpathy's split: the whole of val2014 has 40,504 images, train with restval 113,287",
    protocols={
        "hificl": Protocol(
            name="hificl",
            description="HiFICL: 1,000 images of 'train', all 5,000 of Karpathy's 'val' (many other studies: 'test')",
            support_split="train",
            query_split="val",
            support_size=1000,
        ),
        "stave": Protocol(
            name="stave",
            description="STAVE: 1,000 images of 'train', 5,000 scored, 3 seeds. Its seeds are not published and it "
            "scores its best epoch; here the last one.",
            support_split="train",
            query_split="val",
            support_size=1000,
            seeds=(0, 1, 2),
        ),
        "evaluation": Protocol("evaluation", "Karpathy's 'test', 5,000 images; no support set", None, "test"),
    },
)
"""The benchmark's entry; ids are ``coco/val/391895``."""
