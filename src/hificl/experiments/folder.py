"""The folder of all experiments: what lies where, written whole or not at all, and by one run at a time."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hificl import records
from hificl.errors import InputError
from hificl.experiments.job import Job

CELL, ERROR = "cell.json", "error.json"
WORK = "work"
"""Folder of what is in the making, of adapters and of logs; nothing in it is needed once its cell is finished."""

PATIENCE_SECONDS = 5.0
"""How long the folder may still be held by the workers of a run that was killed."""


@dataclass(frozen=True)
class Place:
    """Where a cell lies."""

    root: Path
    """Folder of the experiments."""

    task: str
    """Name of the task."""

    name: str
    """Readable name and the beginning of the hash."""

    @property
    def folder(self) -> Path:
        """Folder of the record."""
        return self.root / "cells" / self.task / self.name

    @property
    def record(self) -> Path:
        """The record of a finished cell."""
        return self.folder / CELL

    @property
    def error(self) -> Path:
        """Why there is none."""
        return self.folder / ERROR

    @property
    def work(self) -> Path:
        """Where the cell is run; adapter and answers stay here."""
        return self.root / WORK / self.name

    @property
    def is_finished(self) -> bool:
        """Whether the record is there."""
        return self.record.is_file()

    def finish(self, record: Mapping[str, Any]) -> None:
        """Write the record; an error of an earlier attempt is removed."""
        records.write_json(self.record, record)
        self.error.unlink(missing_ok=True)

    def fail(self, job: Job, error: Mapping[str, Any]) -> None:
        """Write why there is no record."""
        content = {
            "kind": "error",
            "job": job.to_dict(),
            "error": dict(error),
            "environment": records.environment(),
            "volatile": {"host": records.host(), "date": datetime.now(UTC).isoformat(timespec="seconds")},
        }
        records.write_json(self.error, content)

    @property
    def failure(self) -> str | None:
        """The error of the last attempt in one line; None where there is none."""
        if self.is_finished or not self.error.is_file():
            return None
        error = records.read_json(self.error)["error"]
        return f"{error['type']}: {error['message']}"


def place_of(root: Path, job: Job, name: str, digest: str) -> Place:
    """Return where the cell of a job lies, by its readable name and its hash."""
    return Place(root, job.task, f"{name}-{digest[:12]}")


def write_lists(root: Path, answer: Mapping[str, Any]) -> None:
    """Write lists of examples that are not there yet, and the images of some queries beside theirs."""
    for path, content in answer["lists"].items():
        file = root / path
        if file.is_file():
            continue
        images = {}
        shown = {name: data for name, data in answer["images"].items() if name in set(content["ids"])}
        for number, (name, data) in enumerate(shown.items(), start=1):
            image = file.with_suffix("") / f"{number}.png"
            records.write_atomic(image, base64.b64decode(data))
            images[name] = image.relative_to(root).as_posix()
        records.write_json(file, {**content, "images": images})


@contextlib.contextmanager
def claimed(root: Path) -> Iterator[int]:
    """Hold the folder for one run; the kernel lets go of it with the last process that has the descriptor open.

    Yields:
        The descriptor, for workers to inherit.

    Raises:
        InputError: It is a file, or another run holds it.
    """
    if root.exists() and not root.is_dir():
        raise InputError(f"{root}: this is a file; choose a folder as output.")
    (root / WORK).mkdir(parents=True, exist_ok=True)
    descriptor = os.open(root / WORK / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _take(descriptor, root)
        for pattern in ("cells/*/*", "data", "data/*", "."):
            for part in root.glob(f"{pattern}/.*.part"):  # of a write that was killed; nobody else writes here now
                part.unlink()
        yield descriptor
    finally:
        os.close(descriptor)


def _take(descriptor: int, root: Path) -> None:
    """Take the lock, with a little patience: the workers of a run that was killed need a moment to notice."""
    waited = time.monotonic() + PATIENCE_SECONDS
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if time.monotonic() > waited:
            break
        time.sleep(0.05)
    raise InputError(f"{root}: another run works in this folder; wait for its end, or choose another output.")
