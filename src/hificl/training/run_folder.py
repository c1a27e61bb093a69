"""The folder of a run: what lies where, and whether it belongs to the run that is asked for.

``run.json`` says what the run is, ``checkpoints/`` how far it is, ``adapter/`` and ``record.json`` that it is done.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hificl.errors import InputError
from hificl.records import read_json, write_json
from hificl.training import checkpoints


@dataclass(frozen=True)
class RunFolder:
    """Paths inside one run folder."""

    path: Path

    @property
    def identity(self) -> Path:
        """File with everything that decides the result."""
        return self.path / "run.json"

    @property
    def checkpoints(self) -> Path:
        """Folder of the Trainer's checkpoints; removed when the run is done."""
        return self.path / "checkpoints"

    @property
    def adapter(self) -> Path:
        """Folder of the finished adapter."""
        return self.path / "adapter"

    @property
    def record(self) -> Path:
        """File with the record, written last: a run is done when it exists."""
        return self.path / "record.json"

    def compare(self, identity: Mapping[str, Any]) -> None:
        """Refuse a folder that holds another run than ``identity``; a missing or empty folder is fine.

        Raises:
            InputError: The path is a file, or the folder holds another run. The message names what differs, with both
                values.
        """
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path}: this is a file; choose a folder as output_dir.")
        if self.identity.is_file():
            for name, (there, asked) in _differences(read_json(self.identity), identity):
                raise InputError(
                    f"{self.path}: holds a run with {name} = {there!r}, this one has {asked!r}; choose another "
                    "output_dir, or resume=False to start over."
                )
        elif self.adapter.exists() or self.checkpoints.exists() or self.record.exists():
            raise InputError(
                f"{self.path}: holds parts of a run but no {self.identity.name}; choose another output_dir, or "
                "resume=False to replace them."
            )

    def claim(self, identity: Mapping[str, Any], resume: bool) -> None:
        """Make the folder that of the run: take up what is whole in it, or remove the run that is there.

        Raises:
            RunError: The folder cannot be written.
        """
        if not resume:
            self.clear()
        checkpoints.remove_incomplete(self.checkpoints)
        write_json(self.identity, identity)

    def clear(self) -> None:
        """Remove the parts of a run, and nothing else, from the folder; the folder too when it is then empty."""
        for file in (self.record, self.identity):
            file.unlink(missing_ok=True)
        for folder in (self.checkpoints, self.adapter):
            if folder.exists():
                shutil.rmtree(folder)
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()


def _differences(there: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield what differs in the order of ``asked``, whose method and options stand before what follows from them."""
    old, new = dict(_flat(there)), dict(_flat(asked))
    for name in {**new, **old}:
        if old.get(name) != new.get(name):
            yield name, (old.get(name), new.get(name))


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        if isinstance(item, Mapping):
            yield from _flat(item, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", item
