"""Bad rows of every other benchmark than VQAv2: file, row and field are named."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from hificl.errors import InputError
from hificl.tasks import TASKS, TaskWarning
from tasks.benchmarks.layouts import LAYOUTS
from tasks.benchmarks.test_bad_rows import Rows, edit, setting, whole, without


def edit_lines(path: Path, row: int, **values: object) -> None:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[row].update(values)
    path.write_text("\n".join(json.dumps(line) for line in lines))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"img": "../../etc/passwd"}, "leaves the images folder"),
        ({"img": "http://example.org/a.png"}, "nothing is downloaded"),
        ({"label": 2}, "field 'label' is 2, not between 0 and 1"),
        ({"label": "1"}, "field 'label' is a text, not an integer"),
        ({"id": 200}, "the id '200' stands also in dev_seen.jsonl: line 1"),
        ({"text": None}, "field 'text' is a null, not a text"),
    ],
)
def test_memes(tmp_path: Path, values: dict[str, object], reason: str) -> None:
    LAYOUTS["hateful_memes"](tmp_path)
    edit_lines(tmp_path / "dev_seen.jsonl", 1, **values)
    with pytest.raises(InputError) as error:
        whole("hateful_memes", tmp_path, "dev_seen")
    assert str(error.value).startswith("dev_seen.jsonl: line 2: ")
    assert reason in str(error.value)


ARRAYS = {
    "coco_captions": ("dataset_coco.json", "images", "val"),
    "flickr30k": ("dataset_flickr30k.json", "images", "val"),
    "seed_bench": ("SEED-Bench.json", "questions", "test"),
}
"""By task: a file, its array of rows, and a split in which the rows stand."""


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("coco_captions", setting(12, "sentences", []), "images row 13: field 'sentences' is an empty list"),
        ("coco_captions", setting(12, "cocoid", 610), "images row 13: field 'cocoid' is 610, but 'filename' is"),
        ("coco_captions", setting(12, "split", "dev"), "images row 13: field 'split' is missing or none of train"),
        ("coco_captions", setting(12, "filename", "../../a.jpg"), "images row 13: field 'filename' is no usable name"),
        ("coco_captions", setting(12, "filepath", "../etc"), "images row 13: field 'filepath' is no usable name"),
        ("coco_captions", setting(12, "filepath", "/etc"), "images row 13: field 'filepath' is no usable name"),
        (
            "flickr30k",
            setting(12, "filename", "up/7012.jpg"),
            "images row 13: field 'filename' is 'up/7012.jpg', a path",
        ),
        ("flickr30k", setting(12, "filename", "7010.jpg"), "images row 13: the id '7010.jpg' stands also in dataset_"),
        ("flickr30k", without(12, "filename"), "images row 13: field 'filename' is missing"),
        ("seed_bench", setting(1, "answer", "E"), "questions row 2: field 'answer' is 'E', not one of A, B, C, D"),
        ("seed_bench", setting(1, "data_id", "up/b"), "questions row 2: field 'data_id' is 'up/b', a path"),
        ("seed_bench", setting(1, "data_id", "a/../../b"), "questions row 2: field 'data_id' is no usable name"),
        ("seed_bench", without(1, "data_type"), "questions row 2: field 'data_type' is missing"),
        ("seed_bench", without(1, "choice_c"), "questions row 2: field 'choice_c' is missing"),
    ],
)
def test_arrays(tmp_path: Path, name: str, change: Callable[[Rows], object], message: str) -> None:
    file, member, split = ARRAYS[name]
    LAYOUTS[name](tmp_path)
    edit(tmp_path / file, member, change)
    with pytest.raises(InputError) as error:
        whole(name, tmp_path, split)
    assert str(error.value).startswith(f"{file}: {message}")
    assert len(whole(name, tmp_path, split, "skip").skipped) == 1


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("answers", ["only one"], "image '00712005': field 'answers' has 1 items for 3 questions"),
        ("questions", "What?", "image '00712005': field 'questions' is a text, not a list"),
        ("split", 4, "image '00712005': field 'split' is missing or not 1 (train), 2 (val) or 3 (test)"),
        ("imageURL", None, "image '00712005': field 'imageURL' is a null"),
        (
            "imageURL",
            "http://x/a.jpg/../../../b",
            "image '00712005': field 'image_id': image 'images/00712005' does not",
        ),
        ("answers", ["a", "", "c"], "image '00712005': field 'answers[2]' is blank"),
    ],
)
def test_books(tmp_path: Path, field: str, value: object, message: str) -> None:
    LAYOUTS["ocr_vqa"](tmp_path)
    edit(tmp_path / "dataset.json", "00712005", lambda book: book.__setitem__(field, value))  # type: ignore[call-overload]
    with pytest.raises(InputError) as error:
        whole("ocr_vqa", tmp_path, "val")
    assert message in str(error.value)
    assert str(error.value).startswith("dataset.json: ")


def test_a_book_whose_name_is_a_path(tmp_path: Path) -> None:
    LAYOUTS["ocr_vqa"](tmp_path)
    books = json.loads((tmp_path / "dataset.json").read_bytes())
    (tmp_path / "dataset.json").write_text(json.dumps({"up/x": books["00712005"]}))
    with pytest.raises(InputError, match=r"image 'up/x': field 'image_id' is 'up/x', a path that leaves its folder"):
        whole("ocr_vqa", tmp_path, "val")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Is it?\tYes\n", "count/0001.txt: line 1: is no question, tab, answer; there are two such lines"),
        ("Is it?\tYes\nIs it?\tMaybe\n", "count/0001.txt: line 2: field 'answer' is 'Maybe', not one of Yes, No"),
        ("Is it?\tYes\nIs that?\tYes\n", "count/0001.txt: line 2: the id 'count/0001.jpg/yes' stands also in"),
        ("Is it? Yes\nIs that?\tNo\n", "count/0001.txt: line 1: is no question"),
        ("Is it?\tYes\nIs\x07that?\tNo\n", "count/0001.txt: line 2: field 'question' holds the control character"),
    ],
)
def test_mme_texts(tmp_path: Path, text: str, message: str) -> None:
    LAYOUTS["mme"](tmp_path)
    (tmp_path / "MME_Benchmark_release_version" / "count" / "0001.txt").write_text(text)
    with pytest.raises(InputError) as error:
        whole("mme", tmp_path, "test")
    assert message in str(error.value)
    assert len(whole("mme", tmp_path, "test", "skip").skipped) in (1, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (setting(4, "category_id", 99), "annotations row 5: field 'category_id' is 99, no category of the file"),
        (setting(4, "image_id", "610"), "annotations row 5: field 'image_id' is a text, not an integer"),
        (setting(4, "category_id", []), "annotations row 5: field 'category_id' is [], no category"),
    ],
)
def test_instance_annotations(tmp_path: Path, change: Callable[[Rows], object], message: str) -> None:
    LAYOUTS["chair"](tmp_path)
    edit(tmp_path / "annotations" / "instances_val2014.json", "annotations", change)
    with pytest.raises(InputError, match=r"instances_val2014.json: annotations row 5") as error:
        whole("chair", tmp_path, "val")
    assert message in str(error.value)


def test_instance_annotations_are_used_whole_or_not_at_all(tmp_path: Path) -> None:
    LAYOUTS["chair"](tmp_path)
    edit(tmp_path / "annotations" / "instances_val2014.json", "categories", setting(1, "name", "unicorn"))
    with pytest.raises(InputError, match=r"categories row 2: field 'name' is 'unicorn', none of the 80") as error:
        whole("chair", tmp_path, "val", "skip")
    assert "skip" not in str(error.value)


def test_a_row_that_belongs_to_no_split_is_listed_once(tmp_path: Path) -> None:
    LAYOUTS["coco_captions"](tmp_path)
    edit(tmp_path / "dataset_coco.json", "images", setting(12, "split", "dev"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TaskWarning)
        data = TASKS["coco_captions"].load(root=tmp_path, on_bad="skip")
    assert [one.place for one in data.skipped] == ["dataset_coco.json: images row 13"]


def test_a_text_of_mme_is_named_with_its_folder(tmp_path: Path) -> None:
    LAYOUTS["mme"](tmp_path)
    (tmp_path / "MME_Benchmark_release_version" / "count" / "0001.txt").write_bytes(b"Is \xe9?\tYes\n")
    with pytest.raises(InputError, match=r"^count/0001.txt:1: not UTF-8"):
        whole("mme", tmp_path, "test")
