"""Examples and where they come from: files of rows, images, demonstrations. Nothing here imports torch."""

from __future__ import annotations

from hificl.data.cells import ImageCell
from hificl.data.demonstrations import EPISODE, choose_demonstrations, demonstration_pool, nearest_demonstrations
from hificl.data.example import Example, ImageSource
from hificl.data.images import load_image
from hificl.data.rows import read_rows

__all__ = [
    "EPISODE",
    "Example",
    "ImageCell",
    "ImageSource",
    "choose_demonstrations",
    "demonstration_pool",
    "load_image",
    "nearest_demonstrations",
    "read_rows",
]
