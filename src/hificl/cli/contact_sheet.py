"""Images of examples side by side, each over its id, question and first answer, in one PNG."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hificl.errors import InputError
from hificl.records import write_atomic

if TYPE_CHECKING:
    from PIL import Image

    from hificl.data import Example

SIDE = 224
MARGIN = 12
LINE = 16
FONT_SIZE = 12
LETTERS = 36
LINES = 5
COLUMNS = 5


def write_contact_sheet(file: str, examples: Sequence[Example]) -> int:
    """Write the images of examples to a PNG of at most ``COLUMNS`` columns.

    Args:
        file: Path that ends in ``.png``; written whole or not at all.
        examples: At least one; one without an image gets an empty place.

    Returns:
        Number of images drawn.

    Raises:
        InputError: Another ending, or an image that cannot be read.
        RunError: The file could not be written.
    """
    if Path(file).suffix.lower() != ".png":
        raise InputError(f"--output {file}: the contact sheet is a PNG; end its name in .png.")
    from PIL import Image, ImageDraw, ImageFont

    from hificl.data import load_image

    cells = [
        (load_image(image, place=f"sample {example.id!r}, image {number}"), example)
        for example in examples
        for number, image in enumerate(example.images, start=1)
    ]
    if not cells:
        raise InputError("the rows to show have no images; leave out --output.")
    columns = min(COLUMNS, len(cells))
    rows = -(-len(cells) // columns)
    width, height = SIDE + 2 * MARGIN, SIDE + LINES * LINE + 2 * MARGIN
    sheet = Image.new("RGB", (columns * width, rows * height), "white")
    font, pen = ImageFont.load_default(FONT_SIZE), ImageDraw.Draw(sheet)
    for index, (image, example) in enumerate(cells):
        left, top = index % columns * width + MARGIN, index // columns * height + MARGIN
        small = _fitted(image)
        sheet.paste(small, (left + (SIDE - small.width) // 2, top + (SIDE - small.height) // 2))
        for number, line in enumerate(_caption(example)):
            pen.text((left, top + SIDE + 6 + number * LINE), line, fill="black", font=font)
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    write_atomic(file, buffer.getvalue())
    return len(cells)


def _fitted(image: Image.Image) -> Image.Image:
    """The image as large as its place allows; small ones keep their pixels square and sharp."""
    from PIL import Image

    scale = SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.NEAREST if scale > 2 else Image.Resampling.LANCZOS)


def _caption(example: Example) -> list[str]:
    """Id, question and first answer in at most ``LINES`` lines."""
    answer = [f"= {example.answers[0]}"] if example.answers else []
    texts = [example.id, *([example.question] if example.question.strip() else []), *answer]
    return [line for text in texts for line in textwrap.wrap(text, LETTERS, max_lines=2, placeholder=" ...")][:LINES]
