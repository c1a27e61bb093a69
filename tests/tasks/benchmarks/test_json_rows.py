"""Rows of large JSON files: found where they are, whatever else is in the file; damaged files are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hificl.errors import InputError
from hificl.tasks.benchmarks.json_rows import picked, rows_of_array, rows_of_arrays, rows_of_lines, rows_of_object

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def write(folder: Path, content: str) -> Path:
    path = folder / "a.json"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    return path


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.dictionaries(st.text(max_size=3), JSON, max_size=3), max_size=5),
    others=st.dictionaries(st.text(max_size=4).filter(lambda name: name != "rows"), JSON, max_size=3),
    indent=st.none() | st.integers(0, 2),
)
def test_rows_are_those_of_the_json_module(
    tmp_path: Path, rows: list[Any], others: dict[str, Any], indent: int
) -> None:
    path = write(tmp_path, json.dumps({**others, "rows": rows, "tail": others}, indent=indent))
    found = rows_of_array(path, "rows", picked("a", "b"))
    assert [found.row(index).cells for index in range(len(found))] == rows
    assert found.kept == [{name: row[name] for name in ("a", "b") if name in row} for row in rows]


def test_places_are_names_that_people_can_find(tmp_path: Path) -> None:
    path = write(tmp_path, '{"rows": [{"a": 1}, {"a": 2}]}')
    assert rows_of_array(path, "rows", picked("a")).row(1).place == "a.json: rows row 2"
    assert rows_of_object(path, "image", picked()).place(0) == "a.json: image 'rows'"
    path = write(tmp_path, '{"a": 1}\n\n{"a": 2}\n')
    lines = rows_of_lines(path, picked("a"))
    assert [lines.row(index).cells["a"] for index in range(len(lines))] == [1, 2]
    assert lines.place(1) == "a.json: line 3"


def test_two_arrays_of_one_file(tmp_path: Path) -> None:
    path = write(tmp_path, '{"b": [{"x": 1}], "skipped": {"b": []}, "a": []}')
    found = rows_of_arrays(path, {"a": picked(), "b": picked("x")})
    assert (len(found["a"]), found["b"].kept) == (0, [{"x": 1}])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "a.json: invalid JSON at line 1, column 1 (an object expected); the file ends too early"),
        ("[]", "an object expected"),
        ('{"rows": {}}', "an array of rows rows expected"),
        ('{"rows": [{"a": 1}, {"a": 2', "rows row 2: invalid JSON at line 1"),
        ('{"rows": [{"a": 1}, {"a": "tw', "the file ends too early, fetch it again"),
        ('{"rows": [{"a": 1}\n {"a": 2}]}', "rows row 1: invalid JSON at line 2, column 2 (',' or ']' expected"),
        ('{"rows": [{"a": 1},]}', "rows row 2: invalid JSON"),
        ('{"rows": [1, NaN]}', "NaN is not JSON"),
        ('{"rows": [' + "[" * 100_000, "rows row 1: invalid JSON"),
        ('{"rows": [' + "9" * 5000 + "]}", "rows row 1: invalid JSON"),
        ('{"rows": []} x', "more text after the end"),
        ('{"rows": [], "rows": []}', "the member 'rows' stands twice"),
        ('{"questions": [], "info": 1}', "has no member 'rows' (members: 'questions', 'info')"),
        ("{rows: []}", "a member's name expected"),
        ('{"rows" []}', "':' after a member's name expected"),
        ('{"rows": ["a\x01"]}', "Invalid control character"),
        ('{"rows": []', "',' or '}' after a member expected"),
        ("{}\0", "zero byte"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        rows_of_array(write(tmp_path, content), "rows", picked())
    assert message in str(error.value)
    assert str(error.value).startswith("a.json") or "a.json" in str(error.value)


def test_rows_that_are_no_objects_are_errors_of_their_own(tmp_path: Path) -> None:
    found = rows_of_array(write(tmp_path, '{"rows": [3, {"a": 1, "a": 2}, {"a": 5}]}'), "rows", picked("a"))
    assert found.kept == [None, {"a": 2}, {"a": 5}]
    assert found.row(2).cells == {"a": 5}
    with pytest.raises(InputError, match="rows row 1: is a number, not an object"):
        found.row(0)
    with pytest.raises(InputError, match="rows row 2: invalid JSON .the name 'a' stands twice"):
        found.row(1)


def test_members_and_lines_refuse_doubles_and_damage(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="image 'x' stands twice"):
        rows_of_object(write(tmp_path, '{"x": {}, "y": {}, "x": {}}'), "image", picked())
    with pytest.raises(InputError, match="a.json: line 3: invalid JSON"):
        rows_of_lines(write(tmp_path, '{"a": 1}\n\n{"a": \n'), picked())
