"""Names of COCO images, which four of the benchmarks share."""

from __future__ import annotations

import re

FOLDERS = ("", "images")
"""Folders under the images folder in which ``train2014`` and its like may lie."""

_NUMBER = re.compile(r"(\d{1,12})\.[A-Za-z]+$")


def coco_file(part: str, image_id: int) -> str:
    """Return the path of an image, such as ``val2014/COCO_val2014_000000000042.jpg``."""
    return f"{part}/COCO_{part}_{image_id:012d}.jpg"


def coco_number(file_name: str) -> int | None:
    """Return the COCO id that a file name ends with, or None."""
    match = _NUMBER.search(file_name)
    return int(match.group(1)) if match else None


def coco_key(image_id: int) -> str:
    """Return the name of an image across benchmarks, for finding images that two of them share."""
    return f"coco:{image_id}"
