"""VQAv2: open questions about COCO images, ten human answers each."""

from __future__ import annotations

from collections.abc import Sequence

from hificl.data import Example, ImageSource
from hificl.data.tables import Row
from hificl.tasks.benchmarks import fields
from hificl.tasks.benchmarks.benchmark import Benchmark, SourceFile
from hificl.tasks.benchmarks.columns import Columns
from hificl.tasks.benchmarks.root import Root
from hificl.tasks.benchmarks.split import Split
from hificl.tasks.benchmarks.vqa_files import open_vqa, vqa_example
from hificl.tasks.protocol import Protocol

_PARTS = {"train": "train2014", "val": "val2014", "test-dev": "test-dev2015", "test": "test2015"}
_WITH_ANSWERS = ("train", "val")
_SITE = "the VQA project page (visualqa.org), section Download"
_COCO = "the COCO download page, an archive of images"


def _questions(split: str) -> str:
    return f"v2_OpenEnded_mscoco_{_PARTS[split]}_questions.json"


def _annotations(split: str) -> str | None:
    return f"v2_mscoco_{_PARTS[split]}_annotations.json" if split in _WITH_ANSWERS else None


def _open_raw(root: Root, split: str) -> Split | None:
    part = "test2015" if split.startswith("test") else _PARTS[split]
    return open_vqa("vqav2", root, split, part, _questions(split), _annotations(split))


def _example(row: Row, images: Sequence[ImageSource], split: str) -> Example:
    return vqa_example("vqav2", split, row, row if split in _WITH_ANSWERS else None, images)


_FIELDS = {"question_id": "question_id", "question": "question"}

VQAV2 = Benchmark(
    name="vqav2",
    description="Open questions about photographs (COCO), ten human answers each",
    license="annotations CC BY 4.0; images under the terms of Flickr",
    source="VQA v2.0, Goyal et al. 2017, visualqa.org",
    metric="vqa_accuracy",
    kind="vqa",
    files=(
        *(SourceFile(_questions(split), (split,), _SITE) for split in _PARTS),
        *(SourceFile(str(_annotations(split)), (split,), _SITE) for split in _WITH_ANSWERS),
        SourceFile("train2014/", ("train",), _COCO),
        SourceFile("val2014/", ("val",), _COCO),
        SourceFile("test2015/", ("test-dev", "test"), _COCO),
    ),
    open_raw=_open_raw,
    mirrors=(
        Columns(
            {**_FIELDS, "answers": "answers"},
            optional={
                "image_id": "image_id",
                "question_type": "question_type",
                "answer_type": "answer_type",
                "multiple_choice_answer": "multiple_choice_answer",
            },
        ),
        Columns(_FIELDS, optional={"image_id": "image_id"}),
    ),
    mirror_splits={
        "train": ("train",),
        "val": ("validation", "val"),
        "test-dev": ("testdev", "test-dev", "test_dev"),
        "test": ("test",),
    },
    key_fields=("question_id",),
    key=lambda row: fields.name(row, "question_id"),
    example=_example,
    counts={"train": 443_757, "val": 214_354, "test-dev": 107_394, "test": 447_793},
    protocols={
        "hificl": Protocol(
            name="hificl",
            description="HiFICL: 1,000 training questions, 10,000 validation questions. Its own list of 10,000 was not "
            "published; here they are drawn as its code draws without that list.",
            support_split="train",
            query_split="val",
            support_size=1000,
            query_size=10_000,
        ),
        "stave": Protocol(
            name="stave",
            description="STAVE: 1,000 training questions, 10,000 validation questions, 3 seeds. Its seeds are not "
            "published and it scores its best epoch; here the last one.",
            support_split="train",
            query_split="val",
            support_size=1000,
            query_size=10_000,
            seeds=(0, 1, 2),
        ),
        "evaluation": Protocol("evaluation", "The whole validation split; no support set", None, "val"),
    },
)
"""The benchmark's entry; ids are ``vqav2/val/262148000``."""
