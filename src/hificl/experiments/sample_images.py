"""A few images of the queries for a report: the first of each type, so that nobody picks the nice ones."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

from hificl.data import Example, load_image

MOST_IMAGES = 4
LONGEST_SIDE = 512
"""Pixels; larger images are made smaller."""


def sample_images(queries: Sequence[Example]) -> dict[str, str]:
    """Return PNG files in Base64 by the id of their query: the first of each ``type``, else the first ones."""
    types = dict.fromkeys(one.meta.get("type", position) for position, one in enumerate(queries))
    first = [next(one for place, one in enumerate(queries) if one.meta.get("type", place) == name) for name in types]
    return {one.id: _png(one) for one in first[:MOST_IMAGES] if one.images}


def _png(query: Example) -> str:
    image = load_image(query.images[0], place=f"sample {query.id!r}")
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
