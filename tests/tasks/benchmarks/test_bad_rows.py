"""Bad rows: file, row and field are named; left out and counted only where the caller says so."""

from __future__ import annotations

import json
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hificl.data import load_image
from hificl.errors import InputError
from hificl.tasks import TASKS, TaskData, TaskWarning
from hificl.tasks.benchmarks import read_split, validate
from tasks.benchmarks.layouts import LAYOUTS, coco_name
from tasks.benchmarks.mirrors import MIRRORS

QUESTIONS = "v2_OpenEnded_mscoco_val2014_questions.json"
ANNOTATIONS = "v2_mscoco_val2014_annotations.json"
Rows = list[Any]


def whole(name: str, root: Path, split: str, on_bad: str = "fail") -> TaskData:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TaskWarning)
        return read_split(name, root, split, on_bad=on_bad)


def edit(path: Path, member: str, change: Callable[[Rows], object]) -> None:
    content = json.loads(path.read_bytes())
    change(content[member])
    path.write_text(json.dumps(content))


def setting(row: int, field: str, value: object) -> Callable[[Rows], object]:
    return lambda rows: rows[row].__setitem__(field, value)


def without(row: int, field: str) -> Callable[[Rows], object]:
    return lambda rows: rows[row].pop(field)


@pytest.mark.parametrize(
    ("file", "change", "place", "reason"),
    [
        (QUESTIONS, setting(3, "question", 5), "questions row 4", "field 'question' is a number, not a text"),
        (QUESTIONS, setting(3, "question", " \n "), "questions row 4", "field 'question' is blank"),
        (QUESTIONS, setting(3, "question", "a\x1b[2J"), "questions row 4", r"holds the control character '\x1b'"),
        (QUESTIONS, setting(3, "question", "\ud83d?"), "questions row 4", "holds half of a surrogate pair"),
        (QUESTIONS, without(3, "question"), "questions row 4", "field 'question' is missing (fields: 'image_id'"),
        (QUESTIONS, without(3, "question_id"), "questions row 4", "field 'question_id' is missing"),
        (QUESTIONS, setting(3, "question_id", -4), "questions row 4", "field 'question_id' is -4"),
        (QUESTIONS, setting(3, "question_id", True), "questions row 4", "'question_id' is a truth value, not a name"),
        (QUESTIONS, setting(3, "question_id", "a\nb"), "questions row 4", r"is no usable name: 'a\nb'"),
        (QUESTIONS, setting(3, "question_id", 500_000), "questions row 4", "stands also in v2_OpenEnded"),
        (QUESTIONS, setting(3, "question_id", 77), "questions row 4", "question_id 77 has no row in v2_mscoco_val2014"),
        (QUESTIONS, setting(3, "image_id", "../../etc"), "questions row 4", "'image_id' is a text, not an integer"),
        (QUESTIONS, setting(3, "image_id", 10**13), "questions row 4", "is 10000000000000, not between 0 and 999"),
        (QUESTIONS, setting(3, "image_id", 4), "questions row 4", "COCO_val2014_000000000004.jpg' does not exist"),
        (QUESTIONS, setting(3, "image_id", 502), "questions row 4", "image_id' is 502, but v2_mscoco_val2014_annotat"),
        (QUESTIONS, lambda rows: rows.__setitem__(3, [1]), "questions row 4", "field 'question_id' is a JSON array"),
        (ANNOTATIONS, setting(3, "answers", None), "questions row 4", "annotations row 4: field 'answers' is a null"),
        (ANNOTATIONS, lambda rows: rows[3]["answers"].pop(), "questions row 4", "'answers' has 9 answers, not 10"),
        (ANNOTATIONS, lambda rows: rows[3]["answers"].append({"answer": "x"}), "questions row 4", "has 11 answers"),
        (
            ANNOTATIONS,
            lambda rows: rows[3]["answers"][4].update(answer=3),
            "questions row 4",
            "'answers[5].answer' is a",
        ),
        (
            ANNOTATIONS,
            lambda rows: rows[3]["answers"][4].pop("answer"),
            "questions row 4",
            "'answers[5]' has no 'answer'",
        ),
        (ANNOTATIONS, lambda rows: rows[3]["answers"].__setitem__(4, 7), "questions row 4", "'answers[5]' is a number"),
        (ANNOTATIONS, lambda rows: rows[3]["answers"][4].update(answer=""), "questions row 4", "is blank"),
        (ANNOTATIONS, setting(3, "question_type", [1]), "questions row 4", "field 'question_type' is a JSON array"),
        (ANNOTATIONS, lambda rows: rows.pop(3), "questions row 4", "question_id 501001 has no row in v2_mscoco"),
        (ANNOTATIONS, lambda rows: rows.append(rows[3]), "questions row 4", "two annotations, v2_mscoco_val2014_"),
    ],
)
def test_one_bad_row(tmp_path: Path, file: str, change: Callable[[Rows], object], place: str, reason: str) -> None:
    LAYOUTS["vqav2"](tmp_path)
    good = whole("vqav2", tmp_path, "val").queries
    edit(tmp_path / file, "questions" if file == QUESTIONS else "annotations", change)
    with pytest.raises(InputError) as error:
        whole("vqav2", tmp_path, "val")
    assert str(error.value).startswith(f"{QUESTIONS}: {place}: ")
    assert reason in str(error.value)
    data = whole("vqav2", tmp_path, "val", "skip")
    assert data.queries == good[:3] + good[4:]
    assert [(one.place, reason in one.reason) for one in data.skipped] == [(f"{QUESTIONS}: {place}", True)]
    assert data.warnings[-1] == "vqav2: 1 bad rows were left out; a score is one over 10 queries."
    report = validate("vqav2", tmp_path)
    assert not report.ok
    assert [one.bad for one in report.splits if one.split == "val"] == [1]


def test_a_bad_row_does_not_move_the_draw(tmp_path: Path) -> None:
    LAYOUTS["vqav2"](tmp_path)
    options = {"root": tmp_path, "query_size": 6, "on_bad": "skip"}
    with pytest.warns(TaskWarning):
        before = TASKS["vqav2"].load(**options).queries
    edit(tmp_path / QUESTIONS, "questions", setting(3, "question", None))
    with pytest.warns(TaskWarning):
        data = TASKS["vqav2"].load(**options)
    assert data.queries == [one for one in before if one.meta["question_id"] != "501001"]
    assert len(data.queries) + len(data.skipped) == 6


def test_text_is_cleaned_in_one_way_only(tmp_path: Path) -> None:
    LAYOUTS["vqav2"](tmp_path)
    edit(tmp_path / QUESTIONS, "questions", setting(0, "question", " Größe \t\n der 象\u2028? "))
    assert whole("vqav2", tmp_path, "val").queries[0].question == "Größe der 象 ?"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def huge_png() -> bytes:
    """A PNG file of a few bytes that claims 20,000 x 10,000 pixels."""
    header = struct.pack(">IIBBBBB", 20_000, 10_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: data[:-60], "is truncated or corrupt"),
        (lambda data: b"", "is empty (0 bytes)"),
        (lambda data: b"<html>not found</html>", "is no readable image"),
        (lambda data: huge_png(), "is too large"),
    ],
)
def test_bad_images(tmp_path: Path, damage: Callable[[bytes], bytes], reason: str) -> None:
    LAYOUTS["vqav2"](tmp_path)
    path = tmp_path / "val2014" / coco_name("val2014", 501)
    path.write_bytes(damage(path.read_bytes()))
    queries = whole("vqav2", tmp_path, "val").queries
    with pytest.raises(InputError) as error:
        load_image(queries[2].images[0], place="vqav2/val/501000")
    assert reason in str(error.value)
    skipped = whole("vqav2", tmp_path, "val", "skip").skipped
    assert [one.place for one in skipped] == [f"{QUESTIONS}: questions row {row}" for row in (3, 4)]
    assert reason in skipped[0].reason
    report = validate("vqav2", tmp_path, samples=11)
    assert [one.id for one in report.images if one.error] == ["vqav2/val/501000", "vqav2/val/501001"]
    assert not report.ok


def test_an_image_that_is_a_link_out_of_the_root(tmp_path: Path) -> None:
    LAYOUTS["vqav2"](tmp_path / "root")
    path = tmp_path / "root" / "val2014" / coco_name("val2014", 501)
    path.rename(tmp_path / "outside.jpg")
    path.symlink_to(tmp_path / "outside.jpg")
    with pytest.raises(InputError, match=r"questions row 3: field 'image_id': image .* leaves the images folder"):
        whole("vqav2", tmp_path / "root", "val")


def test_mirrors_name_shard_and_row(tmp_path: Path) -> None:
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    MIRRORS["vqav2"](tmp_path)
    path = tmp_path / "data" / "validation-00001-of-00002.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[2]["answers"].pop()
    rows[3]["image"] = None
    rows[4]["question_id"] = 500_000
    pq.write_table(type(table).from_pylist(rows, table.schema), path)
    skipped = whole("vqav2", tmp_path, "val", "skip").skipped
    assert [(one.place, one.reason.split(";")[0]) for one in skipped] == [
        ("validation-00001-of-00002.parquet: row 3", "field 'answers' has 9 answers, not 10"),
        ("validation-00001-of-00002.parquet: row 4", "field 'image' holds no image"),
        (
            "validation-00001-of-00002.parquet: row 5",
            "the id '500000' stands also in validation-00000-of-00002.parquet: row 1",
        ),
    ]
    path.unlink()
    with pytest.raises(InputError, match=r"split 'validation' needs parquet files 0 to 1, each once; missing: \[1\]"):
        whole("vqav2", tmp_path, "val")
