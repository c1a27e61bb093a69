"""Parquet files: one cell at a time, a closed list of errors, a limit on what is decoded."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from hificl.data import ImageCell, load_image, parquet
from hificl.errors import InputError
from tasks.benchmarks.layouts import picture
from tasks.benchmarks.mirrors import IMAGE, write_parquet


def table(folder: Path, rows: int = 11) -> Path:
    path = folder / "val.parquet"
    cells = [{"n": at, "image": {"bytes": picture(at), "path": f"{at}.jpg"}} for at in range(rows)]
    write_parquet(path, cells, {"image": IMAGE})
    return path


def test_a_cell_of_every_row_group(tmp_path: Path) -> None:
    path = table(tmp_path)
    assert parquet.open_parquet(path).group_rows == (4, 4, 3)
    for row in (0, 3, 4, 10):
        assert parquet.read_cell(path, row, "n") == row
        assert parquet.read_cell(path, row, "image") == {"bytes": picture(row), "path": f"{row}.jpg"}
    for row in (-1, 11):
        with pytest.raises(InputError, match="has no row"):
            parquet.read_cell(path, row, "n")


def test_only_one_row_group_is_decoded(tmp_path: Path) -> None:
    """Bytes of another row group may be ruined: the cell does not touch them."""
    path = table(tmp_path)
    chunk = pq.ParquetFile(path).metadata.row_group(2).column(1)
    data = bytearray(path.read_bytes())
    data[chunk.data_page_offset + 40 : chunk.data_page_offset + 900] = bytes(860)
    path.write_bytes(data)
    assert parquet.read_cell(path, 5, "image")["bytes"] == picture(5)
    with pytest.raises(InputError, match=r"val.parquet: row 11, column 'image': cannot be decoded"):
        parquet.read_cell(path, 10, "image")


def test_a_column_is_read_without_the_others(tmp_path: Path) -> None:
    path = table(tmp_path)
    found = parquet.read_columns(path, ["n", "image.path"])
    assert found.column("n").to_pylist() == list(range(11))
    assert found.column("image").to_pylist()[10] == {"path": "10.jpg"}


def test_too_large_columns_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = table(tmp_path)
    monkeypatch.setattr(parquet, "MAX_TABLE_BYTES", 500)
    assert parquet.read_columns(path, ["n"]).num_rows == 11
    with pytest.raises(InputError, match=r"val.parquet: columns image take \d+ bytes, the limit is 500"):
        parquet.read_columns(path, ["image"])


def test_a_changed_file_is_opened_again(tmp_path: Path) -> None:
    path = table(tmp_path)
    assert parquet.open_parquet(path).rows == 11
    table(tmp_path, rows=5)
    assert parquet.open_parquet(path).rows == 5


@pytest.mark.parametrize(
    ("change", "message"), [(lambda data: data[:-9], "cannot be decoded"), (lambda data: b"", "cannot")]
)
def test_a_damaged_file_is_an_input_error(tmp_path: Path, change: Any, message: str) -> None:
    path = table(tmp_path)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=message):
        parquet.open_parquet(path)


def test_missing_file_and_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in (tmp_path / "none.parquet", tmp_path, tmp_path / "a\0b"):
        with pytest.raises(InputError, match="cannot be opened"):
            parquet.open_parquet(wrong)
    imported = builtins.__import__

    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return imported(name, *arguments, **options)

    path = table(tmp_path)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(InputError, match=r"pip install 'hificl\[benchmarks\]'"):
        parquet.open_parquet(path)


def test_an_image_cell_is_read_when_it_is_loaded(tmp_path: Path) -> None:
    cell = ImageCell(table(tmp_path), 6, "image", None, tmp_path)
    assert str(cell) == "val.parquet: row 7, column 'image'"
    assert load_image(cell, place="here").size == (24, 17)


def test_image_cells_hold_bytes_paths_and_lists(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(picture(3))
    path = tmp_path / "forms.parquet"
    forms = {
        "raw": [picture(3)],
        "name": ["a.jpg"],
        "only_path": [{"bytes": None, "path": "a.jpg"}],
        "many": [[{"bytes": picture(1), "path": None}, {"bytes": picture(3), "path": None}]],
    }
    types = {"only_path": IMAGE, "many": pa.list_(IMAGE), "raw": pa.binary(), "name": pa.string()}
    pq.write_table(pa.table({key: pa.array(value, types[key]) for key, value in forms.items()}), path)
    for column in ("raw", "name", "only_path"):
        assert ImageCell(path, 0, column, None, tmp_path).read() == picture(3)
    assert ImageCell(path, 0, "many", 1, tmp_path).read() == picture(3)
    with pytest.raises(InputError, match=r"forms.parquet: row 1, column 'many', image 3: is not there"):
        ImageCell(path, 0, "many", 2, tmp_path).read()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"bytes": None, "path": None}, "holds no image"),
        ({"bytes": b"", "path": "../a.jpg"}, "leaves the images folder"),
        ({"bytes": None, "path": "http://example.org/a.jpg"}, "nothing is downloaded"),
        ({"bytes": None, "path": "none.jpg"}, "does not exist"),
        ({"bytes": b"no picture", "path": None}, "is no readable image"),
        (None, "holds no image"),
    ],
)
def test_a_bad_cell_names_file_row_and_column(tmp_path: Path, value: object, message: str) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.jpg").write_bytes(picture(3))
    write_parquet(
        tmp_path / "bad.parquet", [{"image": {"bytes": b"x", "path": ""}}, {"image": value}], {"image": IMAGE}
    )
    cell = ImageCell(tmp_path / "bad.parquet", 1, "image", None, tmp_path / "inner")
    with pytest.raises(InputError, match=message) as error:
        load_image(cell, place="sample 'x'")
    assert str(error.value).startswith("sample 'x': image bad.parquet: row 2, column 'image'")
