"""Emoji in two drawing styles, with their names and groups, drawn on coloured backgrounds."""

from __future__ import annotations

import io
import json
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hificl.data.packages import fetch_package, read_manifest, read_members
from hificl.errors import InputError
from hificl.tasks.captions import is_query_concept
from pretrain.data.pool import IMAGE_SIZE, ImagePool

STYLES = ("twitter", "google")  # Twemoji and Noto
SKIPPED_CATEGORIES = ("Component", "Flags")  # skin-tone swatches; flags are a source of their own
HELD_OUT_PERCENT = 10

Entry = Mapping[str, Any]


def emoji_name(entry: Entry) -> str:
    """Return a plain lower-case name from an entry's short name, e.g. `four_leaf_clover` -> `four leaf clover`."""
    return re.sub(r"[^a-z0-9]+", " ", entry["short_name"].lower()).strip()


def is_held_out(name: str) -> bool:
    """Say whether a concept is held out of all training (10 % of the names, by checksum)."""
    return zlib.crc32(name.encode()) % 100 < HELD_OUT_PERCENT


def read_drawings(style: str, cache: Path) -> list[tuple[Entry, bytes]]:
    """Return the entries of one drawing style with their PNG files, fetched into `cache` if need be.

    Raises InputError when the package is missing or differs from the manifest.
    """
    name = f"emoji-datasource-{style}"
    pictures = read_members(fetch_package(name, cache), "package/")
    folder = f"img/{style}/64/"
    entries = json.loads(pictures["emoji.json"])
    found = {"entries": len(entries), "images": sum(path.startswith(folder) for path in pictures)}
    wanted = read_manifest()[name].counts
    if found != wanted:
        raise InputError(f"{name}: it holds {found}, the manifest says {dict(wanted)}; fetch it again")
    files = {entry["image"]: folder + entry["image"] for entry in entries}
    return [(entry, pictures[files[entry["image"]]]) for entry in entries if files[entry["image"]] in pictures]


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


def chosen_drawings(cache: Path) -> list[tuple[Entry, int, bytes]]:
    """Return (entry, style, PNG file) of every drawing that may be shown.

    Left out are flags, skin-tone swatches, and the Noto drawings that the captions task asks about.
    """
    return [
        (entry, style, content)
        for style, name in enumerate(STYLES)
        for entry, content in read_drawings(name, cache)
        if entry["category"] not in SKIPPED_CATEGORIES and not (name == "google" and is_query_concept(entry["unified"]))
    ]


def shows_no_query(pool: ImagePool) -> bool:
    """Say whether a pool holds no Noto drawing that the captions task asks about."""
    if "code" not in pool.labels:
        return False
    noto = np.unique(pool.labels["code"][pool.labels["style"] == STYLES.index("google")])
    return not any(is_query_concept(pool.names["code"][number]) for number in noto)


def build_emoji(cache: Path, size: int, seed: int) -> ImagePool:
    """Draw about `size` images: as many variants of every (concept, style) as fit, at least one.

    Labels, one integer per image: `concept`, `style`, `group` (the package's subcategory), `kind` (its
    category), `code` (code points), `held_out` (1 for concepts kept out of training).
    Raises InputError when a package is missing or differs from the manifest.
    """
    chosen = chosen_drawings(cache)
    concepts = sorted({emoji_name(entry) for entry, _, _ in chosen})
    groups = sorted({entry["subcategory"] for entry, _, _ in chosen})
    kinds = sorted({entry["category"] for entry, _, _ in chosen})
    codes = sorted({entry["unified"] for entry, _, _ in chosen})
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
            codes.index(entry["unified"]),
            int(is_held_out(name)),
        )
        for variant in range(variants):
            rows.append(row)
            images.append(_variant(picture, np.random.default_rng([seed, 2, index, variant])))
    columns = np.array(rows, np.int16).T
    labels = dict(zip(("concept", "style", "group", "kind", "code", "held_out"), columns, strict=True))
    names = {"concept": concepts, "style": list(STYLES), "group": groups, "kind": kinds, "code": codes}
    return ImagePool(np.stack(images), labels, names)
