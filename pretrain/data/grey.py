"""Small grey pictures (28x28, light on black) placed on 64x64 images: plain, inverted or in two colours."""

from __future__ import annotations

import numpy as np
from PIL import Image

from pretrain.data.pool import IMAGE_SIZE

PLAIN_SHARE = 0.3  # whole image, unchanged but for its size
INVERTED_SHARE = 0.15  # whole image, dark on white
MIN_CONTRAST = 150  # between ink and background, summed over the three colours


def _colors(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return background and ink, float [3] each, that differ clearly."""
    while True:
        dark = rng.random() < 0.5
        background = rng.integers(0, 90, 3) if dark else rng.integers(170, 256, 3)
        ink = rng.integers(0, 256, 3)
        if np.abs(background - ink).sum() >= MIN_CONTRAST:
            return background.astype(float), ink.astype(float)


def grey_variant(picture: np.ndarray, rng: np.random.Generator, *, mirror: bool) -> np.ndarray:
    """Return one drawing of a grey picture, uint8 [64, 64, 3].

    picture: uint8 [28, 28], light on black.
    mirror: whether half of the drawings are mirrored left to right.
    """
    image = Image.fromarray(picture)
    if mirror and rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    how = rng.random()
    if how < PLAIN_SHARE + INVERTED_SHARE:
        whole = np.asarray(image.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BILINEAR))
        whole = whole if how < PLAIN_SHARE else 255 - whole
        return np.repeat(whole[:, :, None], 3, axis=2)
    image = image.rotate(rng.uniform(-12, 12), Image.Resampling.BILINEAR)
    width, height = (int(side) for side in IMAGE_SIZE * rng.uniform(0.5, 1.0) * rng.uniform(0.9, 1.0, 2))
    left, top = (int(rng.integers(0, IMAGE_SIZE - side + 1)) for side in (width, height))
    cover = np.zeros((IMAGE_SIZE, IMAGE_SIZE, 1))
    small = image.resize((width, height), Image.Resampling.BILINEAR)
    cover[top : top + height, left : left + width, 0] = np.asarray(small) / 255
    background, ink = _colors(rng)
    return (background + (ink - background) * cover).round().astype(np.uint8)
