"""Emoji in two drawing styles, with their names and groups, drawn on coloured backgrounds."""

from __future__ import annotations

import io
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pretrain.data.packages import DataError, Package, fetch_package, read_manifest, read_members
from pretrain.data.pool import IMAGE_SIZE, ImagePool

SKIPPED_CATEGORIES = ("Component", "Flags")  # skin-tone swatches; flags are a source of their own
HELD_OUT_PERCENT = 10


def emoji_name(entry: dict[str, Any]) -> str:
    """Return a plain lower-case name from an entry's short name, e.g. `four_leaf_clover` -> `four leaf clover`."""
    return re.sub(r"[^a-z0-9]+", " ", entry["short_name"].lower()).strip()


def is_held_out(name: str) -> bool:
    """Say whether a concept is held out of all training (10 % of the names, by checksum)."""
    return zlib.crc32(name.encode()) % 100 < HELD_OUT_PERCENT


def _read_package(package: Package, cache: Path) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    tarball = fetch_package(package, cache)
    entries = json.loads(read_members(tarball, "package/emoji.json")[""])
    pictures = read_members(tarball, f"package/img/{package.style}/64/")
    found = (len(entries), len(pictures))
    if found != (package.entries, package.images):
        raise DataError(
            f"{package.package}: {found} entries and images, the manifest says {(package.entries, package.images)}"
        )
    return entries, pictures


def _variant(picture: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """Return the emoji at a random scale and place on a random background, uint8 [64, 64, 3]."""
    side = int(IMAGE_SIZE * rng.uniform(0.6, 1.0))
    low = 190 if rng.random() < 0.8 else 0
    background = (255, 255, 255) if rng.random() < 0.3 else tuple(int(v) for v in rng.integers(low, 256, 3))
    canvas = Image.new("RGB", (IMAGE_SIZE, IMAGE_SIZE), background)
    left, top = (int(v) for v in rng.integers(0, IMAGE_SIZE - side + 1, 2))
    small = picture.resize((side, side), Image.Resampling.BILINEAR)
    canvas.paste(small, (left, top), small)
    return np.asarray(canvas)


def no_emoji() -> ImagePool:
    """Return a pool without images, for recipes that leave the emoji out."""
    labels = {name: np.zeros(0, np.int16) for name in ("concept", "style", "group", "kind", "held_out")}
    names: dict[str, list[str]] = {name: [] for name in ("concept", "style", "group", "kind")}
    return ImagePool(np.zeros((0, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8), labels, names)


def build_emoji(cache: Path, size: int, seed: int) -> ImagePool:
    """Draw about `size` images: as many variants of every (concept, style) as fit, at least one.

    Labels, one integer per image: `concept`, `style`, `group` (the package's subcategory), `kind` (its
    category), `held_out` (1 for concepts kept out of training).
    Raises DataError when a package is missing or differs from the manifest.
    """
    packages = read_manifest()
    chosen: list[tuple[dict[str, Any], int, bytes]] = []
    for style, package in enumerate(packages):
        entries, pictures = _read_package(package, cache)
        for entry in entries:
            if entry["category"] not in SKIPPED_CATEGORIES and entry["image"] in pictures:
                chosen.append((entry, style, pictures[entry["image"]]))
    concepts = sorted({emoji_name(entry) for entry, _, _ in chosen})
    groups = sorted({entry["subcategory"] for entry, _, _ in chosen})
    kinds = sorted({entry["category"] for entry, _, _ in chosen})
    variants = max(1, size // len(chosen))
    rows, images = [], []
    for index, (entry, style, content) in enumerate(chosen):
        picture = Image.open(io.BytesIO(content)).convert("RGBA")
        name = emoji_name(entry)
        row = (
            concepts.index(name),
            style,
            groups.index(entry["subcategory"]),
            kinds.index(entry["category"]),
            int(is_held_out(name)),
        )
        for variant in range(variants):
            rows.append(row)
            images.append(_variant(picture, np.random.default_rng([seed, 2, index, variant])))
    columns = np.array(rows, np.int16).T
    labels = dict(zip(("concept", "style", "group", "kind", "held_out"), columns, strict=True))
    names = {"concept": concepts, "style": [p.style for p in packages], "group": groups, "kind": kinds}
    return ImagePool(np.stack(images), labels, names)
