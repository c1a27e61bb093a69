"""Small archives of the three registries' kinds, written by tests."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path


def tar_bytes(files: dict[str, bytes], *special: tarfile.TarInfo, start: str = "") -> bytes:
    """Pack a folder entry, `files` and special entries; every name begins with `start`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        folder = tarfile.TarInfo(f"{start}package")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in files.items():
            member = tarfile.TarInfo(start + name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for member in special:
            tar.addfile(member)
    return buffer.getvalue()


def debian_bytes(data: bytes, name: str) -> bytes:
    """Pack a compressed tar as the part `name` of a Debian package."""
    content = b"!<arch>\n"
    for part, body in (("debian-binary", b"2.0\n"), ("control.tar.xz", b"odd"), (name, data)):
        header = f"{part:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(body):<10}`\n".encode()
        content += header + body + b"\n" * (len(body) % 2)
    return content


def write_archive(path: Path, files: dict[str, bytes]) -> Path:
    """Write `files` as the kind of archive that the name says: .tgz, .deb or .whl."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
            package.mkdir("package")
            for name, content in files.items():
                package.writestr(name, content)
    elif path.suffix == ".deb":
        path.write_bytes(debian_bytes(lzma.compress(tar_bytes(files, start="./")), "data.tar.xz"))
    else:
        path.write_bytes(gzip.compress(tar_bytes(files)))
    return path
