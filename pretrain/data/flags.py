"""Country flags of the two emoji packages; the flags task asks about drawings of another package."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from pretrain.data.emoji import STYLES, is_held_out, read_drawings
from pretrain.data.facts import CountryFacts, read_country_facts
from pretrain.data.pool import IMAGE_SIZE, ImagePool

FACTS = ("continent", "capital", "language")
REGIONAL_A = 0x1F1E6  # a flag's code is two regional letters, from this one on


def country_code(unified: str) -> str | None:
    """Return the two-letter code of a country flag, e.g. `1F1E7-1F1EA` -> `BE`; None for other flags."""
    letters = [int(part, 16) - REGIONAL_A for part in unified.split("-")]
    if len(letters) != 2 or not all(0 <= letter < 26 for letter in letters):
        return None
    return "".join(chr(ord("A") + letter) for letter in letters)


def _bent(picture: Image.Image, rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Return the cloth of a flag, RGBA [height, width], its corners pulled apart and its rows waved a little."""
    cloth = picture.crop(picture.getchannel("A").getbbox())
    wide, high = cloth.size
    corners = np.array([[0, 0], [0, high], [wide, high], [wide, 0]]) + rng.normal(0, 0.035, (4, 2)) * [wide, high]
    cloth = cloth.transform(
        (width, height), Image.Transform.QUAD, corners.reshape(-1).tolist(), Image.Resampling.BICUBIC
    )
    if rng.random() < 0.5:
        columns = np.arange(width)
        wave = rng.uniform(0.02, 0.08) * height * np.sin(columns / width * rng.uniform(3, 9) + rng.uniform(0, 6))
        rows = np.clip((np.arange(height)[:, None] + wave).round().astype(int), 0, height - 1)
        cloth = Image.fromarray(np.asarray(cloth)[rows, columns])
    return cloth


def _variant(picture: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """Return one drawing of a flag, uint8 [64, 64, 3]: never mirrored, sometimes filling the whole image."""
    low = 190 if rng.random() < 0.7 else 0
    canvas = Image.new("RGB", (IMAGE_SIZE, IMAGE_SIZE), tuple(int(v) for v in rng.integers(low, 256, 3)))
    if rng.random() < 0.4:
        width, height = (int(side) for side in IMAGE_SIZE * rng.uniform(1.0, 1.12, 2))
    else:
        width = int(IMAGE_SIZE * rng.uniform(0.6, 1.0))
        height = min(IMAGE_SIZE, int(width * rng.uniform(0.6, 1.05)))
    left, top = (round((IMAGE_SIZE - side) * rng.random()) for side in (width, height))
    cloth = _bent(picture, rng, width, height)
    canvas.paste(cloth, (left, top), cloth)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Color, ImageEnhance.Contrast):
        canvas = enhance(canvas).enhance(rng.uniform(0.85, 1.15))
    return np.asarray(canvas)


def _names(countries: list[CountryFacts]) -> dict[str, list[str]]:
    names = {fact: sorted({str(value) for c in countries if (value := getattr(c, fact))}) for fact in FACTS}
    return {"country": [country.name for country in countries], **names, "style": list(STYLES)}


def build_flags(cache: Path, size: int, seed: int) -> ImagePool:
    """Draw about `size` flags: as many variants of every (country, style) as fit, at least one.

    Labels, one integer per image: `country`, `continent`, `capital` and `language` (-1 where the country has no such
    fact in plain words, or more than one language), `style`, `held_out` (1 for countries kept out of training, one in
    ten), `query` (1 for countries that the flags task asks about). Names are plain lower-case words.
    Raises InputError when a package is missing or differs from the manifest.
    """
    countries = sorted(read_country_facts(cache), key=lambda country: country.name)
    numbers = {country.code: number for number, country in enumerate(countries)}
    names = _names(countries)
    chosen = [
        (numbers[code], style, content)
        for style, name in enumerate(STYLES)
        for entry, content in read_drawings(name, cache)
        if (code := country_code(entry["unified"])) in numbers
    ]
    variants = max(1, size // len(chosen))
    rows, images = [], []
    for index, (number, style, content) in enumerate(chosen):
        country = countries[number]
        facts = [getattr(country, fact) for fact in FACTS]
        found = [-1 if value is None else names[fact].index(value) for fact, value in zip(FACTS, facts, strict=True)]
        row = (number, *found, style, int(is_held_out(country.name)), int(country.is_query))
        picture = Image.open(io.BytesIO(content)).convert("RGBA")
        for variant in range(variants):
            rows.append(row)
            images.append(_variant(picture, np.random.default_rng([seed, 5, index, variant])))
    columns = np.array(rows, np.int16).T
    labels = dict(zip(("country", *FACTS, "style", "held_out", "query"), columns, strict=True))
    return ImagePool(np.stack(images), labels, names)
