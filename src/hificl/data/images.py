"""Reading images safely: an accepted picture becomes an upright RGB image, all else a clear error."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import IO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from hificl.data.cells import ImageCell
from hificl.data.example import ImageSource
from hificl.errors import InputError

MAX_PIXELS = 80_000_000
"""Most pixels that an image may have (width times height), read from its header before anything is decoded.

It lies below the size at which Pillow itself begins to warn, and leaves Pillow's process-wide limit alone.
"""

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Accepted file formats. The list is closed: some other readers of Pillow start outside programs."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def load_image(source: ImageSource, *, place: str) -> Image.Image:
    """Load one image completely, upright and in RGB.

    The EXIF orientation is applied (an unreadable EXIF block counts as upright, as image viewers do it),
    transparent parts are laid on white, 16-bit grey is scaled to 8 bits, and of an animation the first frame
    is taken.

    Args:
        source: A PIL image (left unchanged), the path of a file, the bytes of a file, or a cell of a parquet
            file (only that cell is read).
        place: Where the image was named, such as ``rows.jsonl:3``; it opens every error message.

    Returns:
        A new image in mode RGB that depends on no open file.

    Raises:
        InputError: The file is missing, empty, truncated, corrupt or not one of ``FORMATS``; the image has no
            pixel or more than ``MAX_PIXELS``; its pixels do not fit 8 bits; ``source`` is of another type.
    """
    if isinstance(source, ImageCell):
        try:
            content = source.read()
        except InputError as error:
            raise InputError(f"{place}: image {error}") from error
        return _read(io.BytesIO(content), f"{place}: image {source}")
    place = f"{place}: image {_name(source)}"
    if isinstance(source, Image.Image):
        return _finish(source, place)
    if isinstance(source, bytes):
        if not source:
            raise InputError(f"{place} is empty (0 bytes); replace it")
        return _read(io.BytesIO(source), place)
    if isinstance(source, (str, os.PathLike)):
        return _read_path(Path(source), place)
    raise InputError(f"{place}: cannot read a {type(source).__name__}; pass a PIL image, a path or the file's bytes")


def _name(source: object) -> str:
    if isinstance(source, Image.Image):
        return f"(PIL, mode {source.mode})"
    if isinstance(source, bytes):
        return f"({len(source)} bytes)"
    return str(source)


def _read_path(path: Path, place: str) -> Image.Image:
    try:
        if not path.exists():
            raise FileNotFoundError("it does not exist")
        if not path.is_file():
            raise OSError("it is a folder or a device, not a file")
        file = path.open("rb")
    except (OSError, ValueError) as error:
        raise InputError(f"{place} cannot be opened ({error}); check the path and the images folder") from error
    with file:
        if os.fstat(file.fileno()).st_size == 0:
            raise InputError(f"{place} is empty (0 bytes); replace it")
        return _read(file, place)


def _read(file: IO[bytes], place: str) -> Image.Image:
    try:
        image = Image.open(file, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{place} is too large ({error}); the limit is {MAX_PIXELS} pixels, scale it down") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{place} is no readable image; use one of {', '.join(FORMATS)}") from error
    except Exception as error:  # on damaged files Pillow's readers raise almost any kind of exception
        raise InputError(f"{place} is corrupt ({error or type(error).__name__}); replace the file") from error
    with image:
        return _finish(image, place)


def _finish(image: Image.Image, place: str) -> Image.Image:
    """Check the size that the header gives, decode, turn upright and convert to RGB."""
    width, height = image.size
    if width < 1 or height < 1:
        raise InputError(f"{place} has no pixel (size {width} x {height}); replace it")
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{place} is too large ({width} x {height} = {width * height} pixels); "
            f"the limit is {MAX_PIXELS} pixels, scale it down"
        )
    try:
        image.load()
    except Exception as error:  # see _read
        raise InputError(
            f"{place} is truncated or corrupt ({error or type(error).__name__}); replace the file"
        ) from error
    turn = _TURNS.get(_orientation(image))
    upright = image if turn is None else image.transpose(turn)
    result = _to_rgb(upright, place)
    # An orientation that has been applied must not stay, or the next reader would turn the image again.
    result.info = {}
    return result


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a damaged EXIF block does not make the picture itself unreadable
        return 1
    return value if isinstance(value, int) else 1


def _to_rgb(image: Image.Image, place: str) -> Image.Image:
    if image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.uint16) >> 8
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        pixels = np.asarray(image)
        low, high = float(pixels.min()), float(pixels.max())
        if not (low >= 0 and high <= 255):
            raise InputError(
                f"{place} has pixel values from {low:g} to {high:g}, which do not fit 8 bits; save it as 8-bit RGB"
            )
        return Image.fromarray(pixels.astype(np.uint8)).convert("RGB")
    try:
        return _on_white(image) if image.has_transparency_data else image.convert("RGB")
    except ValueError as error:
        raise InputError(f"{place} has mode {image.mode} ({error}); save it as 8-bit RGB") from error


def _on_white(image: Image.Image) -> Image.Image:
    layer = image.convert("RGBA")
    white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, layer).convert("RGB")
