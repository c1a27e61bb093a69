"""Flickr30k captions in Karpathy's splits: five sentences per image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hificl.data import Example, ImageSource
from hificl.data.tables import Row
from hificl.tasks.benchmarks import fields
from hificl.tasks.benchmarks.benchmark import Benchmark, SourceFile
from hificl.tasks.benchmarks.columns import Columns
from hificl.tasks.benchmarks.karpathy import open_karpathy, sentences
from hificl.tasks.benchmarks.root import Root, plain_name, under
from hificl.tasks.benchmarks.split import Split
from hificl.tasks.protocol import Protocol

_FILE = "dataset_flickr30k.json"
_FOLDERS = ("flickr30k-images", "flickr30k_images", "images", "")
_SPLITS = ("train", "val", "test")


def _find_image(root: Root, row: Row) -> Path:
    return root.image(row, "filename", under(_FOLDERS, plain_name(row, "filename", fields.name(row, "filename"))))


def _example(row: Row, images: Sequence[ImageSource], split: str) -> Example:
    name = plain_name(row, "filename", fields.name(row, "filename"))
    meta = {"image_id": name, "image_key": f"flickr30k:{name}", "split": split}
    return Example(f"flickr30k/{split}/{name}", images, "", sentences(row), meta)


def _key(row: Row) -> str:
    return fields.name(row, "filename")


def _wanted(row: Row, split: str) -> bool:
    """Go by the column that tells the split; without one, a file named test is no other split."""
    told = row.cells.get("split")
    if told is None:
        return split == "test" or row.cells["file"] != "test"
    return bool(told == split or (split == "val" and told == "validation"))


def _open_raw(root: Root, split: str) -> Split | None:
    return open_karpathy(root, split, _FILE, key=_key, find_image=_find_image, example=_example)


FLICKR30K = Benchmark(
    name="flickr30k",
    description="Short captions of photographs (Flickr), five references each, Karpathy's splits",
    license="research and education only; images under the terms of Flickr",
    source="Flickr30k, Young et al. 2014; splits of Karpathy and Fei-Fei 2015",
    metric="cider_d",
    kind="caption",
    files=(
        SourceFile(_FILE, _SPLITS, "Karpathy's caption_datasets archive"),
        SourceFile("flickr30k-images/", _SPLITS, "the Flickr30k page of the University of Illinois, after its form"),
    ),
    open_raw=_open_raw,
    mirrors=(
        Columns({"sentences": "caption", "filename": "filename"}, optional={"split": "split"}),
        Columns({"sentences": "sentences", "filename": "filename"}, optional={"split": "split"}),
        Columns({"sentences": "sentences", "filename": "filename"}, image=None, optional={"split": "split"}),
    ),
    # Some mirrors hold everything in one file named test, with or without a column that tells the split.
    mirror_splits={"train": ("train", "test"), "val": ("validation", "val", "test"), "test": ("test",)},
    find_image=_find_image,
    key_fields=("filename", "split"),
    key=_key,
    wanted=_wanted,
    example=_example,
    counts={"train": 29_000, "val": 1_014, "test": 1_000},
    larger="Mirrors whose 'test' is the whole of Flickr30k hold the training images too",
    protocols={
        "hificl": Protocol(
            "hificl", "HiFICL's code: 1,000 images of 'train', all 1,014 of Karpathy's 'val'", "train", "val", 1000
        ),
        "evaluation": Protocol("evaluation", "Karpathy's 'test', 1,000 images; no support set", None, "test"),
    },
)
"""The benchmark's entry; ids are ``flickr30k/val/1000092795.jpg``."""
