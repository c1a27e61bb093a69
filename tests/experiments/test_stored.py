"""Records that name their lists: what comes back is what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hificl.errors import InputError
from hificl.experiments import read_record
from hificl.experiments.stored import fold, list_name
from hificl.records import content_hash, read_json, write_json

SUPPORT = [f"s{number}" for number in range(9)]
QUERIES = [f"q{number}" for number in range(5)]


def record() -> dict[str, Any]:
    return {
        "kind": "cell",
        "sample_ids": {
            "train": [one for one in SUPPORT if one not in ("s2", "s7")],
            "held_out": ["s7", "s2"],
            "demonstrations": [],
            "queries": QUERIES,
        },
        "results": {
            "scale": 100.0,
            "predictions": [
                {"id": name, "question": f"{name}?", "prediction": f"p {name}", "answers": [name, "x"], "score": 0.25}
                for name in QUERIES
            ],
        },
    }


def write_lists(root: Path) -> dict[str, list[str]]:
    lists = {list_name("toy", ids): ids for ids in (SUPPORT, QUERIES)}
    for path, ids in lists.items():
        content = {
            "kind": "examples", "hash": content_hash(ids), "ids": ids,
            "questions": [f"{name}?" for name in ids], "answers": [[name, "x"] for name in ids],
        }  # fmt: skip
        write_json(root / path, content)
    return lists


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    lists = write_lists(tmp_path)
    folded = fold(record(), lists)
    write_json(tmp_path / "cell.json", folded)
    assert folded["sample_ids"]["queries"] == {"list": list_name("toy", QUERIES), "positions": None}
    assert folded["sample_ids"]["held_out"]["positions"] == [7, 2]
    assert folded["results"]["predictions"] == {"prediction": [f"p {name}" for name in QUERIES], "score": [0.25] * 5}
    assert read_record("cell.json", tmp_path) == record()


def test_ids_of_no_list_stay_where_they_are() -> None:
    other = record() | {"sample_ids": {"train": ["s1", "elsewhere"], "queries": {"of": "episodes"}}}
    assert fold(other, {"data/x.json": SUPPORT})["sample_ids"] == other["sample_ids"]


def test_a_damaged_list_is_refused(tmp_path: Path) -> None:
    lists = write_lists(tmp_path)
    write_json(tmp_path / "cell.json", fold(record(), lists))
    file = tmp_path / list_name("toy", QUERIES)
    content = read_json(file)
    write_json(file, {**content, "ids": content["ids"][::-1]})
    with pytest.raises(InputError, match="its ids are not those of its hash"):
        read_record("cell.json", tmp_path)
    file.unlink()
    with pytest.raises(InputError, match="no such file"):
        read_record("cell.json", tmp_path)


def test_records_without_lists_are_read_as_they_are(tmp_path: Path) -> None:
    write_json(tmp_path / "old.json", record())
    assert read_record("old.json", tmp_path) == record()
    write_json(tmp_path / "error.json", {"kind": "error", "error": {}})
    assert read_record("error.json", tmp_path)["kind"] == "error"
