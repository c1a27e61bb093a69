"""Small packages in the form of the fetched ones, their pictures of one colour, for tests of tasks that read them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from hificl.data.packages import Package, read_manifest
from hificl.tasks import fetch
from packing import write_archive


def picture(red: int, size: tuple[int, int] = (7, 5)) -> bytes:
    """The bytes of a PNG that is all of one colour."""
    buffer = io.BytesIO()
    Image.new("RGBA", size, (red, 90, 30, 255)).save(buffer, "PNG")
    return buffer.getvalue()


def as_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def put_packages(monkeypatch: pytest.MonkeyPatch, folder: Path, files: dict[str, dict[str, bytes]]) -> None:
    """Make the tasks read packages of these files, by name and path, instead of the fetched ones."""
    manifest = read_manifest()
    archives = {name: write_archive(folder / manifest[name].file, content) for name, content in files.items()}
    monkeypatch.setattr(fetch, "fetch_package", lambda name, cache=None, *, download=True: archives[name])


def counting(name: str, **counts: int) -> dict[str, Package]:
    """A manifest of one package, which says that so much is in it."""
    return {name: Package(**{**vars(read_manifest()[name]), "counts": counts})}
