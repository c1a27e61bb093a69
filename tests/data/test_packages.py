"""Packages are fetched only when asked for, by their registry's client, and never kept when they differ."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

import pytest

from hificl.data import packages
from hificl.data.packages import Package, cache_folder, fetch_package, read_manifest
from hificl.errors import InputError, RunError

CONTENT = b"the whole package\n"
CLIENTS = {"npm": "npm", "debian": "apt-get", "pypi": "python"}
COMMANDS = {
    "npm": "pack --silent odd-thing@1.2",
    "debian": "download odd-thing=1.2",
    "pypi": "-m pip download --no-deps --only-binary=:all: --dest . odd-thing==1.2",
}


@pytest.fixture(params=CLIENTS)
def package(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Package:
    row = Package(
        registry=request.param,
        name="odd-thing",
        version="1.2",
        file="odd-thing-1.2.tgz",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        bytes=len(CONTENT),
        licence="MIT",
        attribution="somebody",
        counts={},
    )
    monkeypatch.setattr(packages, "read_manifest", lambda: {row.name: row})
    return row


def install_client(package: Package, folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a client in front of the real one; it notes how it is called, then runs `script`."""
    client = folder / "bin" / CLIENTS[package.registry]
    client.parent.mkdir()
    client.write_text(f'#!/bin/sh\necho "$@" >> "{folder}/calls"\n{script}\n')
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(sys, "executable", str(client))


def leftovers(cache: Path) -> list[str]:
    return sorted(os.listdir(cache)) if cache.exists() else []


def test_the_manifest_is_complete() -> None:
    manifest = read_manifest()
    assert len(manifest) == 10
    for name, row in manifest.items():
        assert row.name == name
        assert row.version in row.file
        assert len(row.sha256) == 64
        assert row.bytes > 10_000
        assert row.licence
        assert row.attribution
        assert row.registry in CLIENTS
        assert all(count > 0 for count in row.counts.values())


def test_the_cache_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("HIFICL_CACHE", raising=False)
    assert cache_folder() == tmp_path / "hificl"
    monkeypatch.setenv("HIFICL_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"


def test_a_package_is_fetched_once(package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_client(package, tmp_path, monkeypatch, f"echo the whole package > {package.file}")
    cache = tmp_path / "new" / "cache"
    for _ in range(2):
        assert fetch_package("odd-thing", cache) == cache / package.file
    assert (cache / package.file).read_bytes() == CONTENT
    assert (tmp_path / "calls").read_text() == COMMANDS[package.registry] + "\n"
    assert leftovers(cache) == [package.file]


def test_nothing_is_fetched_without_being_asked(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_client(package, tmp_path, monkeypatch, f"echo the whole package > {package.file}")
    with pytest.raises(InputError, match=r"odd-thing 1\.2 .* is missing; `hificl data fetch TASK`") as error:
        fetch_package("odd-thing", tmp_path / "cache", download=False)
    assert COMMANDS[package.registry] in str(error.value)
    assert not (tmp_path / "calls").exists()


def test_a_different_file_in_the_cache_shows_both_hashes(package: Package, tmp_path: Path) -> None:
    for content, told in ((b"short", "5 bytes"), (CONTENT.upper(), hashlib.sha256(CONTENT.upper()).hexdigest())):
        (tmp_path / package.file).write_bytes(content)
        with pytest.raises(InputError, match=f"{told}.*18 bytes.*{package.sha256}.*delete the file"):
            fetch_package("odd-thing", tmp_path)


def test_a_different_fetched_file_is_not_kept(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_client(package, tmp_path, monkeypatch, f"echo another package > {package.file}")
    with pytest.raises(InputError, match=f"16 bytes.*{package.sha256}"):
        fetch_package("odd-thing", tmp_path / "cache")
    assert leftovers(tmp_path / "cache") == []


def test_a_client_that_fails_is_quoted(package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_client(package, tmp_path, monkeypatch, f"echo half > {package.file}; echo no network here >&2; exit 3")
    remedy = packages.REMEDIES[package.registry]
    with pytest.raises(RunError, match=f"failed: no network here; {remedy}, or put {package.file} into"):
        fetch_package("odd-thing", tmp_path / "cache")
    assert leftovers(tmp_path / "cache") == []


def test_a_client_that_hangs_is_ended(package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_client(package, tmp_path, monkeypatch, "exec sleep 20")
    monkeypatch.setattr(packages, "TIMEOUT", 0.2)
    with pytest.raises(RunError, match="took longer than 0 s"):
        fetch_package("odd-thing", tmp_path / "cache")


def test_a_client_that_leaves_another_file_is_an_error(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_client(package, tmp_path, monkeypatch, "echo the whole package > odd-thing-1.3.tgz")
    with pytest.raises(RunError, match=r"left odd-thing-1\.3\.tgz instead of odd-thing-1\.2\.tgz"):
        fetch_package("odd-thing", tmp_path / "cache")
    assert leftovers(tmp_path / "cache") == []


def test_a_missing_client_is_named(package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(InputError, match=f"{CLIENTS[package.registry]} is not installed; install it, or put"):
        fetch_package("odd-thing", tmp_path)


def test_a_cache_that_is_no_folder_is_an_error(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_client(package, tmp_path, monkeypatch, f"echo the whole package > {package.file}")
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match="cannot write to .*taken.*HIFICL_CACHE"):
        fetch_package("odd-thing", tmp_path / "taken" / "cache")


def test_an_unknown_name_lists_the_known_ones(package: Package) -> None:
    with pytest.raises(InputError, match="'even-thing' is not in the manifest; it has odd-thing"):
        fetch_package("even-thing")
