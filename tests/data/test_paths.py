"""Paths written in files: inside the folder, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hificl.data.paths import checked_folder, path_inside
from hificl.errors import InputError


def test_files_inside_are_found_however_they_are_written(tmp_path: Path) -> None:
    folder = checked_folder(tmp_path)
    (folder / "a").mkdir()
    (folder / "a" / "b.png").write_bytes(b"x")
    for written in ("a/b.png", "a/../a/b.png", str(folder / "a" / "b.png")):
        assert path_inside(written, folder, "here") == folder / "a" / "b.png"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("../out.png", "leaves the images folder"),
        ("/etc/passwd", "leaves the images folder"),
        ("link.png", "leaves the images folder"),
        ("none.png", "does not exist"),
        ("", "does not exist"),
        ("a\0b", "no usable path"),
        ("x" * 5000, "no usable path"),
        ("https://example.org/a.png", "nothing is downloaded"),
    ],
)
def test_everything_else_is_refused(tmp_path: Path, written: str, message: str) -> None:
    folder = tmp_path / "root"
    folder.mkdir()
    (tmp_path / "out.png").write_bytes(b"x")
    (folder / "link.png").symlink_to(tmp_path / "out.png")
    with pytest.raises(InputError, match=message):
        path_inside(written, checked_folder(folder), "here")


def test_a_folder_must_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for wrong in ("none", "file", "a\0b"):
        with pytest.raises(InputError, match="images folder"):
            checked_folder(tmp_path / wrong)
