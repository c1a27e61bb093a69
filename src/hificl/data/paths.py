"""Paths that were written in a file: they must stay inside their folder, also through links."""

from __future__ import annotations

from pathlib import Path

from hificl.errors import InputError


def checked_folder(root: Path) -> Path:
    """Return the folder with all links followed.

    Raises:
        InputError: It does not exist or is not a folder.
    """
    try:
        resolved = root.resolve(strict=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"images folder {root}: cannot be opened ({error}); check the path") from error
    if not resolved.is_dir():
        raise InputError(f"images folder {root}: is not a folder; name the folder that holds the images")
    return resolved


def path_inside(written: str, root: Path, place: str) -> Path:
    """Return the existing file that ``written`` names, starting from the resolved folder ``root``.

    Args:
        written: A path as a file gives it: relative, or absolute but inside the folder.
        root: Folder with all links followed, see :func:`checked_folder`.
        place: Beginning of every error message.

    Raises:
        InputError: It is an address, is no path, leaves the folder (also through a link) or does not exist.
    """
    if "://" in written:
        raise InputError(f"{place} is an address, and nothing is downloaded; fetch the file and write its path")
    try:
        path = (root / written).resolve()
        exists = path.is_file()
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{place} is no usable path ({error}); correct the path") from error
    if not path.is_relative_to(root):
        raise InputError(f"{place} leaves the images folder {root}; move the file into it or name another folder")
    if not exists:
        raise InputError(f"{place} does not exist in the images folder {root}; correct the path or the folder")
    return path
