"""Writes the sheet of Fashion-MNIST test images that ships with the package for the relabel task.

Run: `python -m pretrain.data.fashion_sheet --output src/hificl/tasks/data/fashion_mnist_test.png`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from hificl.data.packages import cache_folder
from pretrain.data.fashion import GARMENTS, SIDE, read_garments

COLUMNS = 24  # images per garment


def draw_sheet(images: np.ndarray, classes: np.ndarray) -> Image.Image:
    """Return a grey image of 10 rows, one per garment, with its first 24 test images from left to right."""
    rows = [images[np.flatnonzero(classes == number)[:COLUMNS]] for number in range(len(GARMENTS))]
    cells = np.stack(rows)  # [garments, columns, 28, 28]
    return Image.fromarray(cells.swapaxes(1, 2).reshape(len(GARMENTS) * SIDE, COLUMNS * SIDE))


def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="the PNG file")
    parser.add_argument("--cache", type=Path, default=cache_folder(), help="folder of fetched packages")
    options = parser.parse_args()
    draw_sheet(*read_garments("test", options.cache)).save(options.output, "PNG", optimize=True)


if __name__ == "__main__":
    main()
