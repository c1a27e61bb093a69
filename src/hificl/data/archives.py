"""Reads files out of archives (npm tarballs, Debian packages, wheels) into memory, as if each were hostile."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from hificl.errors import InputError

MAX_UNPACKED = 256 * 2**20
"""Most bytes that an archive may unpack to, headers included (256 MiB; the largest of the manifest has 98 MB)."""

MAX_FILES = 20_000
"""Most entries that an archive may have."""

_AR_START = b"!<arch>\n"
_AR_HEADER = 60


class _Bounded(io.RawIOBase):
    """A stream that ends with an error once more than `limit` bytes were read from it."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self.stream, self.left = stream, limit

    def read(self, size: int = -1) -> bytes:
        content = self.stream.read(self.left + 1 if size < 0 else min(size, self.left + 1))
        self.left -= len(content)
        if self.left < 0:
            raise InputError(f"it unpacks to more than {MAX_UNPACKED} bytes; refuse it and fetch the package anew")
        return content


def read_members(archive: Path, prefix: str) -> dict[str, bytes]:
    """Return the regular files of an archive whose path starts with `prefix`, as rest of the path -> content.

    Nothing is written to disk. The kind follows from the name: `.tgz` or `.tar.gz`, `.deb` (its data part, which
    must be compressed with gzip, bzip2 or xz), `.whl` or `.zip`. A leading `./` of a path does not count.

    Raises:
        InputError: The archive is missing, of another kind or damaged; it holds more than `MAX_FILES` entries or
            unpacks to more than `MAX_UNPACKED` bytes; a wanted entry is a link or a device, occurs twice, or its
            path is absolute or leads out of the archive.
    """
    if not archive.is_file():
        raise InputError(f"{archive}: there is no such file; fetch the package first")
    found: dict[str, bytes] = {}
    try:
        for path, content in _files(archive, prefix):
            if path in found:
                raise InputError(f"{prefix + path!r} occurs twice; fetch the package anew")
            found[path] = content
    except InputError as error:
        raise InputError(f"{archive}: {error}") from error
    except Exception as error:  # on damaged archives the readers raise almost any kind of exception
        problem = str(error) or type(error).__name__
        raise InputError(f"{archive}: the archive is damaged ({problem}); delete it and fetch it anew") from error
    return found


def read_member(archive: Path, path: str) -> bytes:
    """Return the content of one regular file of an archive.

    Raises:
        InputError: As `read_members`, or the archive has no such file.
    """
    found = read_members(archive, path)
    if "" not in found:
        raise InputError(f"{archive}: there is no file {path!r} in it; fetch the package anew")
    return found[""]


def _files(archive: Path, prefix: str) -> Iterator[tuple[str, bytes]]:
    name = archive.name.lower()
    if name.endswith((".whl", ".zip")):
        yield from _zip_files(archive, prefix)
        return
    with archive.open("rb") as file:
        if name.endswith(".deb"):
            yield from _tar_files(_debian_data(file), prefix)
        elif name.endswith((".tgz", ".tar.gz")):
            yield from _tar_files(file, prefix)
        else:
            raise InputError("its kind is unknown; the name must end with .tgz, .tar.gz, .deb, .whl or .zip")


def _tar_files(file: IO[bytes], prefix: str) -> Iterator[tuple[str, bytes]]:
    # The tar reader trusts the sizes that headers state, so the bound stands between it and the unpacked bytes.
    with _unpack(file) as unpacked, tarfile.open(fileobj=_Bounded(unpacked, MAX_UNPACKED), mode="r|") as tar:
        for number, member in enumerate(tar):
            _check_count(number + 1)
            name = member.name.removeprefix("./")
            if not name.startswith(prefix) or member.isdir():
                continue
            _check_path(name)
            stream = tar.extractfile(member) if member.isreg() and not member.issparse() else None
            if stream is None:
                raise InputError(f"{name!r} is not a regular file but a link or a device; fetch the package anew")
            yield name.removeprefix(prefix), stream.read()


def _unpack(file: IO[bytes]) -> IO[bytes]:
    start = file.read(6)
    file.seek(-len(start), io.SEEK_CUR)
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]
    if start.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if start == b"\xfd7zXZ\x00":
        return lzma.LZMAFile(file)
    raise InputError("it is compressed neither with gzip, bzip2 nor xz; fetch the package anew")


def _debian_data(file: IO[bytes]) -> IO[bytes]:
    """Return the `data.tar.*` part of a Debian package, which is an ar archive with headers of 60 bytes."""
    if file.read(len(_AR_START)) != _AR_START:
        raise InputError("it does not begin as a Debian package does; fetch the package anew")
    while len(header := file.read(_AR_HEADER)) == _AR_HEADER:
        name, size = header[:16].decode("ascii").strip().rstrip("/"), int(header[48:58])
        if size < 0:
            raise InputError(f"its part {name!r} has {size} bytes; fetch the package anew")
        if name.startswith("data.tar"):
            return io.BytesIO(file.read(min(size, MAX_UNPACKED)))
        file.seek(size + size % 2, io.SEEK_CUR)
    raise InputError("it has no data part; fetch the package anew")


def _zip_files(archive: Path, prefix: str) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(archive) as package:
        entries = package.infolist()
        _check_count(len(entries))
        total = sum(entry.file_size for entry in entries)
        if total > MAX_UNPACKED:
            raise InputError(f"it unpacks to {total} bytes, the limit is {MAX_UNPACKED}; fetch the package anew")
        for entry in entries:
            if not entry.filename.startswith(prefix) or entry.is_dir():
                continue
            _check_path(entry.filename)
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                raise InputError(f"{entry.filename!r} is not a regular file but a link or a device")
            yield entry.filename.removeprefix(prefix), package.read(entry)


def _check_count(count: int) -> None:
    if count > MAX_FILES:
        raise InputError(f"it has more than {MAX_FILES} entries; fetch the package anew")


def _check_path(name: str) -> None:
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name or "\0" in name:
        raise InputError(f"the path {name!r} leads out of the archive; fetch the package anew")
