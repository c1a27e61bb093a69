"""Examples and where they come from: files of rows, images, demonstrations. Nothing here imports torch."""

from __future__ import annotations

from hificl.data.demonstrations import choose_demonstrations
from hificl.data.example import Example, ImageSource
from hificl.data.images import load_image
from hificl.data.rows import read_rows

__all__ = ["Example", "ImageSource", "choose_demonstrations", "load_image", "read_rows"]
