"""An image that stays in its parquet file until it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hificl.data.parquet import read_cell
from hificl.data.paths import path_inside
from hificl.errors import InputError


@dataclass(frozen=True)
class ImageCell:
    """One image of a parquet file: an :data:`~hificl.data.ImageSource` that reads its cell when it is loaded.

    The cell may hold the file's bytes, the path of a file, a struct of both (``{bytes, path}``), or a list of
    these.

    Args:
        file: The parquet file.
        row: Row in that file, from 0.
        column: Name of the column.
        item: Position in a list of images, from 0; None where the cell is one image.
        images: Resolved folder that a path in the cell starts from and must stay in.
    """

    file: Path
    row: int
    column: str
    item: int | None
    images: Path

    def __str__(self) -> str:
        item = "" if self.item is None else f", image {self.item + 1}"
        return f"{self.file.name}: row {self.row + 1}, column {self.column!r}{item}"

    def read(self) -> bytes:
        """Return the bytes of the image file.

        Raises:
            InputError: The cell cannot be decoded, holds no image, or names a file that is not in ``images``.
        """
        value = read_cell(self.file, self.row, self.column)
        if self.item is not None:
            if not isinstance(value, list) or self.item >= len(value):
                raise InputError(f"{self}: is not there; the file has changed, load the data again")
            value = value[self.item]
        if isinstance(value, dict):
            value = value.get("bytes") or value.get("path")
        if isinstance(value, str):
            try:
                return path_inside(value, self.images, f"{self}: {value!r}").read_bytes()
            except OSError as error:
                raise InputError(f"{self}: {value!r} cannot be read ({error}); check the file") from error
        if not isinstance(value, bytes) or not value:
            raise InputError(f"{self}: holds no image; name another column or leave the row out")
        return value
