"""Archives are read whole or refused with one clear error, however hostile they are."""

from __future__ import annotations

import bz2
import gzip
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hificl.data import archives
from hificl.data.archives import read_member, read_members
from hificl.errors import InputError
from packing import debian_bytes, tar_bytes, write_archive

FILES = {"package/one.txt": b"first", "package/img/two.bin": bytes(range(251)), "other/three.txt": b"3"}


def entry(name: str, kind: bytes, target: str = "package/one.txt") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


Write = Callable[[dict[str, bytes]], Path]


@pytest.fixture(params=[".tgz", ".deb", ".whl"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Write:
    return lambda files: write_archive(tmp_path / f"small{request.param}", files)


def test_files_under_a_prefix_come_back_by_the_rest_of_their_path(write: Write) -> None:
    archive = write(FILES)
    assert read_members(archive, "package/") == {"one.txt": b"first", "img/two.bin": bytes(range(251))}
    assert read_members(archive, "") == FILES
    assert read_member(archive, "other/three.txt") == b"3"


def test_other_compressions_of_debian_packages(tmp_path: Path) -> None:
    path = tmp_path / "odd.deb"
    tar = tar_bytes(FILES)
    for name, data in (("data.tar.gz", gzip.compress(tar)), ("data.tar.bz2", bz2.compress(tar))):
        path.write_bytes(debian_bytes(data, name))
        assert read_members(path, "") == FILES
    path.write_bytes(debian_bytes(b"(\xb5/\xfd what zstd begins with", "data.tar.zst"))
    with pytest.raises(InputError, match="neither with gzip, bzip2 nor xz"):
        read_members(path, "")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused_where_they_are_wanted(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "links.tgz"
    path.write_bytes(gzip.compress(tar_bytes(FILES, entry("package/odd", kind, "/etc/hostname"))))
    with pytest.raises(InputError, match=r"links\.tgz: 'package/odd' is not a regular file"):
        read_members(path, "package/")
    assert read_member(path, "other/three.txt") == b"3"


def test_a_link_in_a_wheel_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "links.whl"
    with zipfile.ZipFile(path, "w") as package:
        link = zipfile.ZipInfo("package/odd")
        link.external_attr = 0o120777 << 16
        package.writestr(link, "/etc/hostname")
    with pytest.raises(InputError, match="'package/odd' is not a regular file"):
        read_members(path, "package/")


@pytest.mark.parametrize("name", ["package/../../out", "/package", "..", "package\\..\\out"])
def test_paths_that_lead_out_are_refused(write: Write, name: str) -> None:
    with pytest.raises(InputError, match="leads out of the archive"):
        read_members(write({name: b"x"}), "")


def test_a_file_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.tgz"
    path.write_bytes(gzip.compress(tar_bytes({"package/one.txt": b"a"}, tarfile.TarInfo("./package/one.txt"))))
    with pytest.raises(InputError, match=r"'package/one\.txt' occurs twice"):
        read_members(path, "package/")


def test_bombs_are_refused_before_they_unpack(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write(FILES | {"unwanted/zeros": bytes(300_000)})
    assert archive.stat().st_size < 3_000
    assert len(read_members(archive, "package/")) == 2
    monkeypatch.setattr(archives, "MAX_UNPACKED", 100_000)
    with pytest.raises(InputError, match=r"small\.\w+: it unpacks to"):
        read_members(archive, "")


def test_a_header_as_large_as_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 4_000_000_000
    path = tmp_path / "header.tgz"
    path.write_bytes(gzip.compress(member.tobuf(tarfile.GNU_FORMAT) + bytes(1_000_000)))
    monkeypatch.setattr(archives, "MAX_UNPACKED", 50_000)
    with pytest.raises(InputError, match="it unpacks to more than 50000 bytes"):
        read_members(path, "")


def test_too_many_entries_are_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_FILES", 3)
    with pytest.raises(InputError, match="more than 3 entries"):
        read_members(write(FILES), "")


def test_damage_is_an_error_that_names_the_archive(write: Write) -> None:
    archive = write(FILES)
    whole = archive.read_bytes()
    rng = np.random.default_rng(7)
    refused = []
    for number in range(150):
        damaged = bytearray(whole[: rng.integers(0, len(whole))] if number % 3 == 0 else whole)
        for place in rng.integers(0, max(1, len(damaged)), 3 if damaged else 0):
            damaged[place] = int(rng.integers(256))
        archive.write_bytes(damaged)
        try:
            read_members(archive, "package/")
        except InputError as error:
            refused.append(str(error))
    assert len(refused) > 50
    assert all(message.startswith(str(archive)) for message in refused)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_members(tmp_path / "absent.tgz", "")
    with pytest.raises(InputError, match="no such file"):
        read_members(tmp_path, "")
    (tmp_path / "notes.rar").write_bytes(b"Rar!")
    with pytest.raises(InputError, match="its kind is unknown"):
        read_members(tmp_path / "notes.rar", "")
    with pytest.raises(InputError, match=r"there is no file 'package/nine\.txt' in it"):
        read_member(write_archive(tmp_path / "small.tgz", FILES), "package/nine.txt")
