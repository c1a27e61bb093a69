"""OK-VQA: questions about COCO images that need outside knowledge; answers are stemmed, ten per question."""

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

_SITE = "the OK-VQA project page (okvqa.allenai.org), section Download"
_COCO = "the COCO download page, an archive of images"
_SPLITS = ("train", "val")


def questions_file(split: str) -> str:
    """Return the name of the question file of a split."""
    return f"OpenEnded_mscoco_{split}2014_questions.json"


def annotations_file(split: str) -> str:
    """Return the name of the annotation file of a split."""
    return f"mscoco_{split}2014_annotations.json"


def _open_raw(root: Root, split: str) -> Split | None:
    return open_vqa("ok_vqa", root, split, f"{split}2014", questions_file(split), annotations_file(split))


def _example(row: Row, images: Sequence[ImageSource], split: str) -> Example:
    return vqa_example("ok_vqa", split, row, row, images)


OK_VQA = Benchmark(
    name="ok_vqa",
    description="Questions about photographs (COCO) that need outside knowledge, ten stemmed answers each",
    license="not stated on the project page; images under the terms of Flickr",
    source="OK-VQA v1.1, Marino et al. 2019, okvqa.allenai.org",
    metric="vqa_accuracy",
    kind="vqa",
    files=(
        *(SourceFile(questions_file(split), (split,), _SITE) for split in _SPLITS),
        *(SourceFile(annotations_file(split), (split,), _SITE) for split in _SPLITS),
        *(SourceFile(f"{split}2014/", (split,), _COCO) for split in _SPLITS),
    ),
    open_raw=_open_raw,
    mirrors=(
        Columns(
            {"question_id": "question_id", "question": "question", "answers": "answers"},
            optional={"image_id": "image_id", "question_type": "question_type", "answer_type": "answer_type"},
        ),
    ),
    mirror_splits={"train": ("train", "train2014"), "val": ("val2014", "validation", "val")},
    key_fields=("question_id",),
    key=lambda row: fields.name(row, "question_id"),
    example=_example,
    counts={"train": 9_009, "val": 5_046},
    protocols={
        "hificl": Protocol(
            "hificl", "HiFICL: 1,000 training questions, all 5,046 validation questions", "train", "val", 1000
        ),
        "stave": Protocol(
            name="stave",
            description="STAVE: 1,000 training questions, all 5,046 validation questions, 3 seeds. Its seeds are not "
            "published and it scores its best epoch; here the last one.",
            support_split="train",
            query_split="val",
            support_size=1000,
            seeds=(0, 1, 2),
        ),
        "evaluation": Protocol("evaluation", "The whole validation split; no support set", None, "val"),
    },
)
"""The benchmark's entry; ids are ``ok_vqa/val/2971475``. A prediction is stemmed before it is compared."""
