"""The report on a folder: files, counts, rows and images; nothing that is in the folder makes it raise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hificl.errors import InputError
from hificl.tasks.benchmarks import BENCHMARKS, protocol_ids, rows_hash, validate, validation
from tasks.benchmarks.layouts import LAYOUTS, VAL, vqa_rows, write_json
from tasks.benchmarks.mirrors import MIRRORS


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_sound_folder(name: str, tmp_path: Path) -> None:
    for form, builders in (("raw", LAYOUTS), ("parquet", MIRRORS)):
        builders[name](tmp_path / form)
        report = validate(name, tmp_path / form, samples=2)
        assert report.ok, report
        assert {split.layout for split in report.splits} <= {form, "missing"}
        assert all(
            image.width == 23 + image.width % 23 and image.height == 17 for image in report.images if image.width
        )
        assert json.loads(json.dumps(report.as_dict()))["ok"] is True
        if form == "raw" and name not in ("vqav2", "mme"):
            assert all(file.present for file in report.files), report.files


def test_counts_stand_beside_the_official_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    LAYOUTS["vqav2"](tmp_path)
    monkeypatch.setitem(BENCHMARKS["vqav2"].counts, "val", VAL)  # type: ignore[index]
    report = validate("vqav2", tmp_path)
    found = {one.split: (one.layout, one.rows, one.official, one.matches) for one in report.splits}
    assert found == {
        "train": ("raw", 7, 443_757, False),
        "val": ("raw", 11, 11, True),
        "test-dev": ("raw", 3, 107_394, False),
        "test": ("missing", None, 447_793, None),
    }
    absent = [file for file in report.files if not file.present]
    assert [(file.name, file.bytes) for file in absent] == [("v2_OpenEnded_mscoco_test2015_questions.json", None)]
    assert all("://" not in file.origin for file in report.files)
    assert any("split 'train' has 7 rows, the official one 443757" in one for one in report.warnings)


def test_damage_is_reported_not_raised(tmp_path: Path) -> None:
    LAYOUTS["ok_vqa"](tmp_path)
    (tmp_path / "mscoco_train2014_annotations.json").write_text('{"annotations": [')
    report = validate("ok_vqa", tmp_path)
    assert [one.layout for one in report.splits] == ["damaged", "raw"]
    assert report.problems[0].place == "split train"
    assert "annotations row 1: invalid JSON" in report.problems[0].reason
    assert not report.ok


def test_problems_are_counted_beyond_those_that_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    LAYOUTS["ok_vqa"](tmp_path)
    questions, _ = vqa_rows("val")
    write_json(
        tmp_path / "OpenEnded_mscoco_val2014_questions.json",
        {"questions": [{**one, "question": 1} for one in questions]},
    )
    monkeypatch.setattr(validation, "MAX_PROBLEMS", 3)
    report = validate("ok_vqa", tmp_path)
    assert [one.bad for one in report.splits] == [0, 11]
    assert len(report.problems) == 3


def test_an_empty_folder_and_wrong_arguments(tmp_path: Path) -> None:
    report = validate("mme", tmp_path)
    assert (report.ok, report.problems, report.images) == (False, (), ())
    with pytest.raises(InputError, match="unknown benchmark 'gqa'"):
        validate("gqa", tmp_path)
    with pytest.raises(InputError, match="cannot be opened"):
        validate("mme", tmp_path / "none")
    with pytest.raises(InputError, match="samples must be an integer of at least 0, got -1"):
        validate("mme", tmp_path, samples=-1)


def test_ids_and_hashes_of_a_protocol(tmp_path: Path) -> None:
    LAYOUTS["vqav2"](tmp_path / "raw")
    MIRRORS["vqav2"](tmp_path / "mirror")
    raw = protocol_ids("vqav2", tmp_path / "raw", query_size=5)
    mirror = protocol_ids("vqav2", tmp_path / "mirror", query_size=5)
    assert json.loads(json.dumps(raw)) == raw
    assert (raw["task"], raw["protocol"], raw["seed"], raw["query_seed"]) == ("vqav2", "hificl", 3407, 3407)
    assert raw["query_ids"] == mirror["query_ids"]
    assert raw["query_hash"] == mirror["query_hash"]
    assert (len(raw["support_ids"]), mirror["support_ids"]) == (7, [])
    assert mirror["support_hash"] == rows_hash([])
    other = protocol_ids("vqav2", tmp_path / "raw", "stave", 2, query_size=5)
    assert other["query_hash"] == raw["query_hash"]
    assert other["support_hash"] != raw["support_hash"]
    assert any("has 7 rows, the official one 443757" in one for one in raw["warnings"])


def test_the_hash_sees_answers_questions_and_order(tmp_path: Path) -> None:
    LAYOUTS["ok_vqa"](tmp_path)
    before = protocol_ids("ok_vqa", tmp_path)
    path = tmp_path / "OpenEnded_mscoco_val2014_questions.json"
    questions, _ = vqa_rows("val")
    for changed in (questions[::-1], [{**questions[0], "question": "Other?"}, *questions[1:]], questions[:-1]):
        write_json(path, {"questions": changed})
        assert protocol_ids("ok_vqa", tmp_path)["query_hash"] != before["query_hash"]
    write_json(path, {"questions": questions})
    assert protocol_ids("ok_vqa", tmp_path) == before
