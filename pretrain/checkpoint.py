"""Atomic checkpoints of a running stage and the completion marks of finished ones."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

MARK = "complete.json"


def write_folder(
    folder: Path, tensors: Mapping[str, torch.Tensor], mark: dict[str, Any], optimiser: dict[str, Any] | None
) -> None:
    """Write tensors (safetensors), the optimiser state and, last, the mark; then move all into place at once."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_file({name: t.contiguous() for name, t in tensors.items()}, partial / "weights.safetensors")
    if optimiser is not None:
        torch.save(optimiser, partial / "optimiser.pt")
    with (partial / MARK).open("w") as stream:
        json.dump(mark, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    old = folder.with_name(folder.name + ".old")
    if folder.exists():
        os.replace(folder, old)
    os.replace(partial, folder)
    shutil.rmtree(old, ignore_errors=True)


def read_mark(folder: Path) -> dict[str, Any] | None:
    """Return the mark of a complete folder, or None; a folder that a kill left half-moved is put back first."""
    old = folder.with_name(folder.name + ".old")
    if not folder.exists() and (old / MARK).exists():
        os.replace(old, folder)
    if not (folder / MARK).exists():
        return None
    mark: dict[str, Any] = json.loads((folder / MARK).read_text())
    return mark


def read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a complete folder."""
    return load_file(folder / "weights.safetensors")


def read_optimiser(folder: Path) -> dict[str, Any]:
    """Return the optimiser state that this run itself wrote (tensors and numbers only)."""
    state: dict[str, Any] = torch.load(folder / "optimiser.pt", weights_only=True)
    return state
