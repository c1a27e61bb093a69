"""Finding the files of a benchmark under the folder that the user named."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hificl.data.paths import checked_folder, path_inside
from hificl.data.tables import Row
from hificl.errors import InputError
from hificl.tasks.benchmarks.fields import wrong

ANNOTATION_FOLDERS = ("", "annotations", "questions")
"""Folders under the root in which the official archives, unpacked in the usual ways, leave their JSON files."""


@dataclass(frozen=True)
class Root:
    """The folder of a data set, and that of its images where it is another one; both with links followed."""

    folder: Path
    images: Path

    @classmethod
    def open(cls, folder: str | os.PathLike[str] | None, images: str | os.PathLike[str] | None) -> Root:
        """Check both folders.

        Raises:
            InputError: ``folder`` is missing, or one of the two is no folder.
        """
        if folder is None:
            raise InputError("root: nothing is downloaded, so the folder of the data set is needed; pass root=DIR")
        root = _folder(folder, "root")
        return cls(root, root if images is None else _folder(images, "images"))

    def find(self, name: str) -> Path | None:
        """Return the file of this name in the root or one of ``ANNOTATION_FOLDERS``, or None.

        The name is ours and not that of a file's row, so a link is followed wherever it leads: caches and
        clusters keep their files behind links.
        """
        paths = (self.folder / folder / name for folder in ANNOTATION_FOLDERS)
        return next((path for path in paths if path.is_file()), None)

    def image(self, row: Row, field: str, names: Sequence[str]) -> Path:
        """Return the first of these files that exists under the images folder.

        Args:
            row: Row that names the image, for the message.
            field: Its field, for the message.
            names: Relative paths, in order of preference.

        Raises:
            InputError: None exists, or it leaves the folder.
        """
        place = f"{row.place}: field {field!r}: image {names[0]!r}"
        for name in names[:-1]:
            if self._exists(name):
                return path_inside(name, self.images, place)
        return path_inside(names[-1], self.images, place)

    def _exists(self, name: str) -> bool:
        try:
            return (self.images / name).exists()
        except (OSError, ValueError):
            return False


def under(folders: Iterable[str], name: str) -> list[str]:
    """Return the name under each of the folders; ``""`` is the root itself."""
    return [f"{folder}/{name}" if folder else name for folder in folders]


def plain_name(row: Row, field: str, written: str) -> str:
    """Return a file name that has no folder in it, as it stands in a row.

    Raises:
        InputError: It is a path, or no name.
    """
    if written in ("", ".", "..") or "/" in written or "\\" in written:
        raise wrong(row, field, f"is {written[:60]!r}, a path that leaves its folder", "write the plain file name")
    return written


def _folder(folder: str | os.PathLike[str], what: str) -> Path:
    if not isinstance(folder, (str, os.PathLike)):
        raise InputError(f"{what}: is a {type(folder).__name__}; pass the path of a folder")
    try:
        return checked_folder(Path(folder))
    except InputError as error:
        raise InputError(str(error).replace("images folder", f"{what}: folder", 1)) from error
