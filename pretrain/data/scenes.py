"""Own procedural scenes: one to four coloured shapes on plain, tinted, dark or graded backgrounds."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pretrain.data.pool import IMAGE_SIZE, PATCHES, ImagePool

MAX_OBJECTS = 4
SHAPES = ["circle", "rectangle", "triangle", "star", "cross", "ring"]
SIZES = ["small", "medium", "large"]
SIDES = ["left", "right", "top", "bottom"]
# Each colour is a few anchors; a drawn colour is an anchor plus a small shift.
ANCHORS: dict[str, list[tuple[int, int, int]]] = {
    "black": [(0, 0, 0), (24, 24, 28)],
    "gray": [(128, 128, 128), (110, 112, 118), (150, 150, 150)],
    "red": [(255, 0, 0), (215, 20, 25)],
    "blue": [(0, 0, 255), (30, 70, 220)],
    "green": [(0, 128, 0), (30, 170, 50), (0, 100, 20)],
    "yellow": [(255, 255, 0), (245, 220, 40)],
    "brown": [(139, 69, 19), (160, 45, 40), (115, 75, 45)],
    "teal": [(0, 128, 128), (20, 150, 150)],
    "white": [(255, 255, 255), (245, 245, 240)],
    "orange": [(255, 140, 0), (240, 120, 30)],
    "purple": [(128, 0, 128), (110, 40, 170)],
    "pink": [(255, 150, 190), (255, 105, 180)],
}
COLORS = list(ANCHORS)
SINGLE_SHARE = 0.7  # share of scenes with exactly one shape
MIN_CONTRAST = 70.0  # Euclidean RGB distance between a shape and the background


def _color(rng: np.random.Generator, index: int) -> np.ndarray:
    anchors = ANCHORS[COLORS[index]]
    anchor = np.array(anchors[rng.integers(len(anchors))])
    return np.clip(anchor + rng.integers(-12, 13, 3), 0, 255)


def _background(rng: np.random.Generator) -> np.ndarray:
    """Return a float image [64, 64, 3]: light (60 %), any colour (20 %) or a gradient of two colours."""
    kind = rng.random()
    low = 195 if kind < 0.6 or rng.random() < 0.5 else 0
    first = rng.integers(low, 256, 3).astype(float)
    image = np.broadcast_to(first, (IMAGE_SIZE, IMAGE_SIZE, 3)).copy()
    if kind > 0.8:
        second = rng.integers(low, 256, 3).astype(float)
        ramp = np.linspace(0, 1, IMAGE_SIZE)[:, None, None]
        image = first + (second - first) * (ramp if rng.random() < 0.5 else ramp.transpose(1, 0, 2))
        image = np.broadcast_to(image, (IMAGE_SIZE, IMAGE_SIZE, 3)).copy()
    return image


def _outline(rng: np.random.Generator, shape: str, radius: float) -> list[tuple[float, float]]:
    """Return the corners of a polygon shape around the origin, stretched and turned a little."""
    if shape == "triangle":
        corners = [(0.0, -1.0), (0.95, 0.75), (-0.95, 0.75)]
    elif shape == "rectangle":
        corners = [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)]
    elif shape == "star":
        reaches = [1.1, 0.45] * 5
        angles = [corner * math.pi / 5 for corner in range(10)]
        corners = [(r * math.sin(a), -r * math.cos(a)) for r, a in zip(reaches, angles, strict=True)]
    else:
        arm = 0.33
        corners = [(-arm, -1), (arm, -1), (arm, -arm), (1, -arm), (1, arm), (arm, arm)]
        corners += [(-x, -y) for x, y in corners]
    stretch = rng.uniform(0.72, 1.35) if shape in ("rectangle", "triangle") else 1.0
    turn = 0.0 if rng.random() < 0.6 else rng.uniform(-0.35, 0.35)
    cosine, sine = math.cos(turn) * radius, math.sin(turn) * radius
    wide, high = math.sqrt(stretch), 1 / math.sqrt(stretch)
    return [(x * wide * cosine - y * high * sine, x * wide * sine + y * high * cosine) for x, y in corners]


def _draw(rng: np.random.Generator, shape: str, radius: float, center: np.ndarray, smooth: bool) -> np.ndarray:
    """Return the coverage of one shape, float [64, 64] in [0, 1]."""
    scale = 3 if smooth else 1
    mask = Image.new("L", (IMAGE_SIZE * scale, IMAGE_SIZE * scale))
    pen = ImageDraw.Draw(mask)
    x, y = center * scale
    if shape in ("circle", "ring"):
        reach = radius * scale
        pen.ellipse([x - reach, y - reach, x + reach, y + reach], fill=255)
        if shape == "ring":
            inner = reach * rng.uniform(0.45, 0.65)
            pen.ellipse([x - inner, y - inner, x + inner, y + inner], fill=0)
    else:
        pen.polygon([(x + a * scale, y + b * scale) for a, b in _outline(rng, shape, radius)], fill=255)
    if smooth:
        mask = mask.reduce(scale)
    return np.asarray(mask, float) / 255


def _place(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return radii [count] and centres [count, 2] in pixels, inside the image and without overlap."""
    while True:
        radii = rng.uniform(6.5, 20, 1) if count == 1 else rng.uniform(5.5, 11, count)
        margin = radii[:, None] * 1.05
        centers = margin + rng.random((count, 2)) * (IMAGE_SIZE - 2 * margin)
        gaps = np.linalg.norm(centers[:, None] - centers[None], axis=-1) - 1.15 * (radii[:, None] + radii[None])
        if (gaps + 1e3 * np.eye(count) > 0).all():
            return radii, centers


def render_scene(rng: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Draw one scene.

    Returns the image, uint8 [64, 64, 3], and its labels: `color`, `shape`, `size` int [4] per object
    (-1 = no object), `center` int [4, 2] in pixels, `patch_color` and `patch_shape` int [16] (the object
    that covers most of a patch; -1 where none does).
    """
    count = 1 if rng.random() < SINGLE_SHARE else int(rng.integers(2, MAX_OBJECTS + 1))
    radii, centers = _place(rng, count)
    background = _background(rng)
    image, smooth = background.copy(), rng.random() < 0.6
    labels = {name: np.full(MAX_OBJECTS, -1) for name in ("color", "shape", "size")}
    labels["center"] = np.full((MAX_OBJECTS, 2), -1)
    cover = np.full((count + 1, PATCHES, PATCHES), 10.0)  # row 0: an object must cover 10 pixels of a patch
    for index in range(count):
        shape = int(rng.integers(len(SHAPES)))
        color = int(rng.integers(len(COLORS)))
        pixel = _color(rng, color)
        column, row = centers[index].astype(int)
        while np.linalg.norm(background[row, column] - pixel) < MIN_CONTRAST:
            color = int(rng.integers(len(COLORS)))
            pixel = _color(rng, color)
        mask = _draw(rng, SHAPES[shape], radii[index], centers[index], smooth)
        image += mask[:, :, None] * (pixel - image)
        patch = IMAGE_SIZE // PATCHES
        cover[index + 1] = mask.reshape(PATCHES, patch, PATCHES, patch).sum((1, 3))
        labels["color"][index], labels["shape"][index] = color, shape
        labels["size"][index] = int(np.searchsorted([9.0, 14.0], radii[index]))
        labels["center"][index] = centers[index]
    owner = cover.argmax(0).reshape(-1) - 1
    for name in ("color", "shape"):
        labels[f"patch_{name}"] = np.where(owner < 0, -1, labels[name][owner])
    return image.round().astype(np.uint8), labels


def build_scenes(cache: Path, size: int, seed: int) -> ImagePool:
    """Draw `size` scenes; `cache` is not used, nothing is fetched."""
    images = np.empty((size, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    columns: dict[str, list[np.ndarray]] = {}
    for index in range(size):
        images[index], labels = render_scene(np.random.default_rng([seed, 1, index]))
        for name, value in labels.items():
            columns.setdefault(name, []).append(value.astype(np.int16))
    names = {"color": COLORS, "shape": SHAPES, "size": SIZES}
    return ImagePool(images, {name: np.stack(values) for name, values in columns.items()}, names)
