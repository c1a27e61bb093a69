"""read_table: the three formats, and the line that every error names."""

from __future__ import annotations

from pathlib import Path

import pytest

from hificl.data.tables import read_table
from hificl.errors import InputError


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_the_same_rows_in_three_formats(tmp_path: Path) -> None:
    cells = [{"q": "Wie groß?", "n": "1"}, {"q": 'a "b", c', "n": "2"}]
    jsonl = '{"q": "Wie groß?", "n": "1"}\n\n{"q": "a \\"b\\", c", "n": "2"}\n'
    array = '[{"q": "Wie groß?", "n": "1"},\n {"q": "a \\"b\\", c", "n": "2"}]'
    table = 'q,n\nWie groß?,1\n\n"a ""b"", c",2\n'
    for name, content in {"a.jsonl": jsonl, "a.JSON": array, "a.csv": table}.items():
        for data in (content.encode(), content.encode("utf-8-sig"), content.replace("\n", "\r\n").encode()):
            assert [dict(row.cells) for row in read_table(write(tmp_path, name, data))] == cells


def test_places(tmp_path: Path) -> None:
    jsonl = read_table(write(tmp_path, "a.jsonl", '\n{"q": "\u2028"}\n\n{"q": 2}'))
    assert [row.place for row in jsonl] == ["a.jsonl:2", "a.jsonl:4"]
    assert jsonl[0].cells["q"] == "\u2028"
    table = read_table(write(tmp_path, "a.csv", 'q\n"two\nlines"\n\nlast\n'))
    assert [row.place for row in table] == ["a.csv:2", "a.csv:5"]
    array = read_table(write(tmp_path, "a.json", '[{"q": 1},\n\n{"q": 2}]'))
    assert [row.place for row in array] == ["a.json: row 1", "a.json: row 2"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "q\n1\n", "unknown kind of file '.txt'; use one of .jsonl, .json, .csv"),
        ("a.jsonl", "", "has no row"),
        ("a.jsonl", "\ufeff\n \n", "has no row"),
        ("a.json", " ", "has no row"),
        ("a.json", "[]", "has no row"),
        ("a.csv", "q,n\n", "has no row"),
        ("a.jsonl", '{"q": 1}\n{"q": 1', "a.jsonl:2: invalid JSON at column"),
        ("a.json", '[{"q": 1},\n{"q" 1}]', "a.json:2: invalid JSON at column"),
        ("a.jsonl", '{"q": 1}\n[1]', "a.jsonl:2: the row is a JSON array"),
        ("a.jsonl", "null", "a.jsonl:1: the row is a null"),
        ("a.json", '{"q": 1}', "holds a JSON object; write an array of objects"),
        ("a.json", "[true]", "a.json: row 1: the row is a truth value"),
        ("a.jsonl", '{"q": 1}\n{"q": NaN}', "a.jsonl:2: invalid JSON (NaN is not JSON"),
        ("a.jsonl", '{"q": 1, "q": 2}', "the name 'q' stands twice in one object"),
        ("a.jsonl", '{"q": ' + "[" * 100_000, "a.jsonl:1: invalid JSON"),
        ("a.jsonl", '{"q": ' + "9" * 5000 + "}", "a.jsonl:1: invalid JSON"),
        ("a.jsonl", b'{"q": 1}\n{"q": "\xff"}', "a.jsonl:2: not UTF-8 text"),
        ("a.csv", b"q\na\0b\n", "a.csv:2: holds a zero byte"),
        ("a.csv", "q,n\n1,2\n1,2,3\n", "a.csv:3: 3 values under 2 column names"),
        ("a.csv", "q,,n\n1,2,3\n", "a.csv:1: column 2 has no name"),
        ("a.csv", "q,n, q\n1,2,3\n", "a.csv:1: the column name 'q' stands twice"),
        ("a.csv", 'q\nfine\n"open\n', "a.csv:3: invalid CSV"),
        ("a.csv", "q\n" + "x" * 200_000, "a.csv:2: invalid CSV (field larger"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(InputError) as error:
        read_table(write(tmp_path, name, content))
    assert message in str(error.value)


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for name, message in {"none.csv": "no such file", "folder.csv": "is a folder", "a\0.csv": "cannot be read"}.items():
        with pytest.raises(InputError, match=message):
            read_table(tmp_path / name)
