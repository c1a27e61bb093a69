"""Trainings that another cell has left, so that a measurement of the same adapter does not train it again."""

from __future__ import annotations

import shutil
from pathlib import Path

from hificl.training.run_folder import RunFolder


def take_training(source: Path, target: Path) -> None:
    """Copy a finished training into a folder that has none; nothing happens where there is none to copy.

    The record comes last, so that a copy that was killed is an unfinished run. Whoever takes it up compares it with
    what is asked for, as with any run.
    """
    there, here = RunFolder(source), RunFolder(target)
    if not there.record.is_file() or here.identity.exists():
        return
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(there.identity, here.identity)
    shutil.copytree(there.adapter, here.adapter, dirs_exist_ok=True)
    shutil.copyfile(there.record, here.record)
