"""Small packages of every registry with their manifest, as the sources expect them."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hificl.data.packages import read_manifest
from packing import write_archive
from pretrain.data.facts import LOCALES

EMOJI = [  # unified, short name, category, subcategory
    ("1F34E", "red_apple", "Food & Drink", "food-fruit"),
    ("1F407", "rabbit2", "Animals & Nature", "animal-mammal"),
    ("1F3FB", "skin-tone-2", "Component", "skin-tone"),
    ("1F1E8-1F1ED", "flag-ch", "Flags", "country-flag"),
    ("1F1EF-1F1F5", "flag-jp", "Flags", "country-flag"),
    ("1F1E6-1F1FD", "flag-ax", "Flags", "country-flag"),
    ("1F3F4-200D-2620-FE0F", "pirate_flag", "Flags", "flag"),
    ("2764-FE0F", "heart", "Smileys & Emotion", "heart"),
    ("1F989", "owl", "Animals & Nature", "animal-bird"),
]
COUNTRIES = [  # code, name, capitals, region, subregion, languages, currencies
    ("CH", "Switzerland", ["Bern"], "Europe", "Western Europe", ["French", "Italian"], ["Swiss franc"]),
    ("JP", "Japan", ["Tokyo"], "Asia", "Eastern Asia", ["Japanese"], ["Japanese yen"]),
    ("AX", "Åland Islands", ["Mariehamn"], "Europe", "Northern Europe", ["Swedish"], ["Euro"]),
    ("AG", "Antigua and Barbuda", ["Saint John's"], "Americas", "Caribbean", ["English"], ["a", "b"]),
    ("XX", "Northern 2nd", [], "Antarctic", "", [], []),
]


def emoji_files(style: str, blue: int) -> dict[str, bytes]:
    entries, files = [], {}
    for number, (unified, name, category, group) in enumerate(EMOJI):
        image = f"{unified.lower()}.png"
        entries.append(
            {"unified": unified, "short_name": name, "category": category, "subcategory": group, "image": image}
        )
        picture = np.zeros((64, 64, 4), np.uint8)
        picture[8:56, 4:60] = (20 * number, 200, blue, 255)  # the left quarter of every drawing is red
        picture[8:56, 4:18] = (250, 0, blue, 255)
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        files[f"package/img/{style}/64/{image}"] = buffer.getvalue()
    return {"package/emoji.json": json.dumps(entries).encode()} | files


def country(row: tuple[Any, ...]) -> dict[str, Any]:
    code, name, capitals, region, subregion, languages, currencies = row
    return {
        "cca2": code,
        "name": {"common": name, "official": f"Land of {name}"},
        "capital": capitals,
        "region": region,
        "subregion": subregion,
        "languages": {language.lower(): language for language in languages},
        "currencies": {currency.upper(): {"name": currency} for currency in currencies},
        "landlocked": False,
        "unMember": True,
    }


def idx_files(part: str, count: int) -> dict[str, bytes]:
    rng = np.random.default_rng(count)
    pictures = rng.integers(0, 256, (count, 28, 28)).astype(np.uint8)
    pictures[:, 0, 0] = np.arange(count)  # tells the pictures apart
    folder = f"usr/share/datasets/fashion-mnist/{part}"
    classes = (np.arange(count) * 3 % 10).astype(np.uint8)
    return {
        f"{folder}-images-idx3-ubyte.gz": gzip.compress(bytes(16) + pictures.tobytes()),
        f"{folder}-labels-idx1-ubyte.gz": gzip.compress(bytes(8) + classes.tobytes()),
    }


def digit_files() -> dict[str, bytes]:
    rng = np.random.default_rng(2)
    return {
        f"package/src/digits/{digit}.json": json.dumps({"data": rng.random(784 * (2 + digit % 3)).tolist()}).encode()
        for digit in range(10)
    }


def name_files() -> dict[str, bytes]:
    labels = {"1F34E": "Roter Äpfel", "2764": "Herz", "1F407": "ein sehr langer Name", "1F989": "Eule 2"}
    entries = [{"hexcode": code, "label": label} for code, label in labels.items()]
    return {f"package/{locale}/compact.json": json.dumps(entries).encode() for locale in LOCALES}


PACKAGES = {
    "emoji-datasource-twitter": (emoji_files("twitter", 10), {"entries": 9, "images": 9}),
    "emoji-datasource-google": (emoji_files("google", 240), {"entries": 9, "images": 9}),
    "world-countries": ({"package/countries.json": json.dumps([*map(country, COUNTRIES)]).encode()}, {"countries": 5}),
    "emojibase-data": (name_files(), {"entries": 4}),
    "dataset-fashion-mnist": (idx_files("train", 130) | idx_files("t10k", 250), {"train": 130, "test": 250}),
    "mnist": (digit_files(), {"digits": 29}),
}


@dataclasses.dataclass
class SmallPackages:
    """The folder of the small packages and the file that is their manifest; a test may change both."""

    cache: Path
    manifest: Path

    def recount(self, name: str, counts: dict[str, int]) -> None:
        """Let the manifest expect other counts of a package."""
        content = json.loads(self.manifest.read_text())
        for row in content["packages"]:
            row["counts"] = counts if row["name"] == name else row["counts"]
        self.manifest.write_text(json.dumps(content))


def write_packages(folder: Path) -> SmallPackages:
    """Write every small package and the manifest into `folder`."""
    cache, manifest = folder / "cache", folder / "packages.json"
    cache.mkdir()
    rows, known = [], read_manifest()
    for name, (files, counts) in PACKAGES.items():
        content = write_archive(cache / known[name].file, files).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        row = dataclasses.replace(known[name], sha256=digest, bytes=len(content), counts=counts)
        rows.append(dataclasses.asdict(row))
    manifest.write_text(json.dumps({"packages": rows}))
    return SmallPackages(cache, manifest)
