"""Rows in memory: images in all five forms become examples; what is no image is refused."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import datasets  # type: ignore[import-untyped]
import pytest
from PIL import Image

from hificl.data import load_image
from hificl.errors import InputError
from hificl.tasks.benchmarks import examples_from_rows
from tasks.benchmarks.layouts import ocr_books, picture, seed_rows, vqa_rows


def vqa(image: object) -> dict[str, Any]:
    questions, annotations = vqa_rows("val")
    return {**questions[0], **annotations[0], "image": image}


def test_five_forms_of_an_image(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(picture(4))
    forms = [
        Image.open(io.BytesIO(picture(4))),
        [picture(4)],
        picture(4),
        {"bytes": picture(4), "path": "b.jpg"},
        {"bytes": None, "path": "a.jpg"},
        "a.jpg",
    ]
    for form in forms:
        (example,) = examples_from_rows("vqav2", [vqa(form)], images=tmp_path)
        assert example.id == "vqav2/val/500000"
        assert [load_image(image, place="x").size for image in example.images] == [(27, 17)]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (None, "vqav2: row 1: field 'image' holds no image"),
        ([], "vqav2: row 1: field 'image' is an empty list of images"),
        ("a.jpg", "vqav2: row 1: field 'image' holds the path 'a.jpg'; name the folder of the images"),
        (7, "image 0 is a int"),
    ],
)
def test_what_is_no_image_is_refused(image: object, message: str) -> None:
    with pytest.raises(InputError) as error:
        examples_from_rows("vqav2", [vqa(image)])
    assert message in str(error.value)


def test_a_data_set_of_the_datasets_package() -> None:
    rows = [{**row, "image": [{"bytes": picture(at), "path": None}]} for at, row in enumerate(seed_rows()[:5])]
    features = datasets.Dataset.from_list(rows).features
    features["image"] = datasets.List(datasets.Image())
    examples = examples_from_rows("seed_bench", datasets.Dataset.from_list(rows, features=features))
    assert [one.answers[0] for one in examples] == list("ABCDA")
    assert all(isinstance(image, Image.Image) for one in examples for image in one.images)


def test_several_questions_in_a_row() -> None:
    name, book = next(iter(ocr_books().items()))
    examples = examples_from_rows("ocr_vqa", [{**book, "image_id": name, "image": picture(0)}], split="train")
    assert [one.id for one in examples] == [f"ocr_vqa/train/{name}/0", f"ocr_vqa/train/{name}/1"]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([vqa(picture(1)), vqa(picture(2))], {}, "row 2: the id 'vqav2/val/500000' stands also in vqav2: row 1"),
        (["text"], {}, "row 1: is a str; pass mappings"),
        ([{"question": "x"}], {}, "row 1: no column 'question_id', 'image'; the columns are 'question'"),
        ([], {"split": "dev"}, "no split 'dev'"),
    ],
)
def test_wrong_rows(rows: list[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        examples_from_rows("vqav2", rows, **options)
    assert message in str(error.value)
    with pytest.raises(InputError, match="unknown benchmark 'gqa'; choose one of vqav2, ok_vqa"):
        examples_from_rows("gqa", rows)
