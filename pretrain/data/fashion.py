"""Garments of Fashion-MNIST: training images only, the test images are an evaluation's."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from hificl.data.packages import fetch_package, read_manifest, read_members
from hificl.errors import InputError
from pretrain.data.grey import grey_variant
from pretrain.data.pool import ImagePool

PACKAGE = "dataset-fashion-mnist"
FOLDER = "usr/share/datasets/fashion-mnist/"
FILES = {"train": "train", "test": "t10k"}
GARMENTS = ["t-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]
SIDE = 28


def read_garments(part: str, cache: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the images, uint8 [images, 28, 28], and classes, uint8 [images], of "train" or "test".

    Raises InputError when the package is missing or differs from the manifest.
    """
    files = read_members(fetch_package(PACKAGE, cache), FOLDER + FILES[part])
    pixels = gzip.decompress(files["-images-idx3-ubyte.gz"])
    classes = np.frombuffer(gzip.decompress(files["-labels-idx1-ubyte.gz"]), np.uint8)[8:]  # after the header
    count = read_manifest()[PACKAGE].counts[part]
    if len(pixels) != 16 + count * SIDE * SIDE or len(classes) != count:
        raise InputError(f"{PACKAGE}: {part} holds {len(classes)} classes, the manifest says {count}; fetch it again")
    return np.frombuffer(pixels, np.uint8)[16:].reshape(count, SIDE, SIDE), classes


def build_fashion(cache: Path, size: int, seed: int) -> ImagePool:
    """Draw `size` garments, the same number of every class (give or take one).

    Label: `concept`, the garment.
    """
    images, classes = read_garments("train", cache)
    rng = np.random.default_rng([seed, 3])
    orders = [rng.permutation(np.flatnonzero(classes == number)) for number in range(len(GARMENTS))]
    turns = [divmod(index, len(GARMENTS)) for index in range(size)]
    chosen = [int(orders[number][turn % len(orders[number])]) for turn, number in turns]
    drawn = [
        grey_variant(images[number], np.random.default_rng([seed, 3, index]), mirror=True)
        for index, number in enumerate(chosen)
    ]
    return ImagePool(np.stack(drawn), {"concept": classes[chosen].astype(np.int16)}, {"concept": GARMENTS})
