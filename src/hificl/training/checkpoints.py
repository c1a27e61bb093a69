"""Checkpoints of a run: the Trainer's folders, each whole only when its completion mark, written last, is there."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from transformers.trainer import TRAINER_STATE_NAME

MARK = "COMPLETE"
"""Name of the completion mark; it holds the seconds trained so far."""

PREFIX = "checkpoint-"


def seal(folder: Path, seconds: float) -> None:
    """Force all files of a checkpoint to the disk, then write its completion mark the same way."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            _sync(file)
    mark = folder / MARK
    partial = folder / f".{MARK}"
    partial.write_text(json.dumps({"seconds": seconds}) + "\n", encoding="utf-8")
    _sync(partial)
    os.replace(partial, mark)
    _sync(folder)
    _sync(folder.parent)


def step_of(folder: Path) -> int:
    """Return the optimiser step of a checkpoint folder."""
    return int(folder.name.removeprefix(PREFIX))


def complete_checkpoints(folder: Path) -> list[Path]:
    """Return the marked checkpoints, oldest step first."""
    return [checkpoint for checkpoint in _all(folder) if (checkpoint / MARK).is_file()]


def remove_incomplete(folder: Path) -> list[Path]:
    """Remove checkpoints without a mark, what a killed or failed write left, and return them."""
    broken = [checkpoint for checkpoint in _all(folder) if not (checkpoint / MARK).is_file()]
    for checkpoint in broken:
        shutil.rmtree(checkpoint)
    return broken


def prune(folder: Path, keep: set[int], newest: int = 2) -> None:
    """Remove marked checkpoints but the ``newest`` ones and the steps in ``keep``; the mark of each goes first."""
    for checkpoint in complete_checkpoints(folder)[:-newest]:
        if step_of(checkpoint) not in keep:
            (checkpoint / MARK).unlink()
            shutil.rmtree(checkpoint)


def seconds_trained(checkpoint: Path) -> float:
    """Return the seconds of training up to this checkpoint, over all sessions."""
    return float(json.loads((checkpoint / MARK).read_text(encoding="utf-8"))["seconds"])


def logged(checkpoint: Path) -> list[dict[str, Any]]:
    """Return the Trainer's log up to this checkpoint."""
    state = json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    return list(state["log_history"])


def _all(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    found = [path for path in folder.glob(f"{PREFIX}*") if path.name.removeprefix(PREFIX).isdigit()]
    return sorted(found, key=step_of)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
