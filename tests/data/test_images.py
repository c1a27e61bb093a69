"""load_image: every accepted picture becomes upright RGB; everything else is one kind of error."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hificl.data import images, load_image
from hificl.errors import InputError

PLACE = "rows.jsonl:3"
RED, GREEN, WHITE = (255, 0, 0), (0, 255, 0), (255, 255, 255)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(width: int = 13, height: int = 7) -> Image.Image:
    pixels = np.random.default_rng(3).integers(0, 256, size=(height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_path_text_bytes_and_image_give_the_same_picture(tmp_path: Path) -> None:
    picture = noise()
    path = tmp_path / "a.png"
    picture.save(path)
    for source in (path, str(path), path.read_bytes(), picture):
        loaded = load_image(source, place=PLACE)
        assert loaded.mode == "RGB"
        assert loaded.size == (13, 7)
        assert np.array_equal(np.asarray(loaded), np.asarray(picture))


def test_the_given_image_is_left_unchanged() -> None:
    picture = noise()
    loaded = load_image(picture, place=PLACE)
    loaded.putpixel((0, 0), WHITE)
    assert picture.getpixel((0, 0)) != WHITE


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"])
def test_accepted_formats(kind: str) -> None:
    loaded = load_image(encoded(Image.new("RGB", (9, 5), RED), kind), place=PLACE)
    assert loaded.size == (9, 5)
    assert max(abs(a - b) for a, b in zip(loaded.getpixel((4, 2)), RED, strict=True)) <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(orientation: int) -> None:
    upright = noise()
    undo = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    turn = undo.get(orientation, images._TURNS.get(orientation))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = encoded(upright if turn is None else upright.transpose(turn), exif=exif)
    once = load_image(stored, place=PLACE)
    assert np.array_equal(np.asarray(once), np.asarray(upright))
    assert np.array_equal(np.asarray(load_image(once, place=PLACE)), np.asarray(upright))


def test_damaged_exif_counts_as_upright() -> None:
    picture = noise()
    loaded = load_image(encoded(picture, exif=b"Exif\0\0no tiff header"), place=PLACE)
    assert np.array_equal(np.asarray(loaded), np.asarray(picture))


def transparent_images() -> dict[str, Image.Image]:
    layered = Image.new("RGBA", (3, 2), (*RED, 255))
    layered.putpixel((0, 0), (0, 0, 0, 0))
    palette = Image.new("P", (3, 2), 1)
    palette.putpalette([*GREEN, *RED])
    palette.putpixel((0, 0), 0)
    palette.info["transparency"] = 0
    grey = Image.new("LA", (3, 2), (76, 255))
    grey.putpixel((0, 0), (9, 0))
    return {"RGBA": layered, "P": palette, "LA": grey}


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA"])
def test_transparent_parts_are_white(mode: str) -> None:
    picture = transparent_images()[mode]
    for source in (picture, encoded(picture)):
        loaded = load_image(source, place=PLACE)
        assert loaded.getpixel((0, 0)) == WHITE
        assert loaded.getpixel((2, 1)) == ((76, 76, 76) if mode == "LA" else RED)


def test_16_bit_grey_is_scaled_not_clipped() -> None:
    levels = np.array([[0, 256, 32768, 65535]], dtype=np.uint16)
    loaded = load_image(encoded(Image.fromarray(levels)), place=PLACE)
    assert [pixel[0] for pixel in loaded.get_flattened_data()] == [0, 1, 128, 255]


def test_values_beyond_8_bits_are_refused() -> None:
    assert load_image(Image.new("F", (2, 3), 200.0), place=PLACE).getpixel((0, 0)) == (200, 200, 200)
    for value in (300.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="do not fit 8 bits; save it as 8-bit RGB"):
            load_image(Image.new("F", (2, 3), value), place=PLACE)


@pytest.mark.parametrize("kind", ["GIF", "MPO", "PNG", "TIFF", "WEBP"])
def test_first_frame_of_an_animation(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    frames = encoded(
        Image.new("RGB", (4, 3), RED), kind, save_all=True, append_images=[Image.new("RGB", (4, 3), GREEN)], **options
    )
    red, green, _ = load_image(frames, place=PLACE).getpixel((1, 1))
    assert (red > 250, green < 5) == (True, True)


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header promises more than its few bytes hold."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("action", ["ignore", "error"])
@pytest.mark.parametrize("size", [(10_000, 8_001), (9_500, 9_500), (60_000, 60_000)])
def test_decompression_bomb_is_refused_before_decoding(
    size: tuple[int, int], action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(self: Image.Image) -> None:
        raise AssertionError("the bomb was decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)
    limit = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter(action)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=r"image .* too large .* limit is 80000000 pixels"):
            load_image(bomb(*size), place=PLACE)
    assert limit == Image.MAX_IMAGE_PIXELS


def test_largest_size_is_accepted_and_one_more_pixel_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 13 * 7)
    assert load_image(encoded(noise()), place=PLACE).size == (13, 7)
    monkeypatch.setattr(images, "MAX_PIXELS", 13 * 7 - 1)
    with pytest.raises(InputError, match=r"13 x 7 = 91 pixels"):
        load_image(encoded(noise()), place=PLACE)


def test_unusable_paths(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("hello")
    os.mkfifo(tmp_path / "pipe.png")
    for name, message in {
        "missing.png": "does not exist",
        "empty.png": "is empty (0 bytes)",
        "text.png": "is no readable image; use one of BMP, GIF",
        "pipe.png": "not a file",
        ".": "not a file",
        "a\0b.png": "cannot be opened",
        "n" * 300: "cannot be opened",
    }.items():
        with pytest.raises(InputError) as error:
            load_image(tmp_path / name, place=PLACE)
        assert str(error.value).startswith(f"{PLACE}: image {tmp_path / name}".removesuffix("/."))
        assert message in str(error.value)


def test_unusable_contents() -> None:
    for source, message in {
        b"": "is empty (0 bytes)",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 2 2\n": "is no readable image",
    }.items():
        with pytest.raises(InputError, match=message.replace("(", r"\(").replace(")", r"\)")):
            load_image(source, place=PLACE)
    with pytest.raises(InputError, match="has no pixel"):
        load_image(Image.new("RGB", (0, 5)), place=PLACE)
    with pytest.raises(InputError, match="cannot read a int"):
        load_image(3, place=PLACE)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="has mode La "):
        load_image(Image.new("La", (2, 2)), place=PLACE)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_truncated_file_is_refused(kind: str) -> None:
    data = encoded(noise(61, 47), kind)
    with pytest.raises(InputError, match="rows.jsonl:3: image .* (truncated|corrupt)"):
        load_image(data[: len(data) * 2 // 3], place=PLACE)


SAMPLES = [encoded(noise(), kind) for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM")]


def mode_or_refusal(source: bytes) -> str:
    try:
        return load_image(source, place=PLACE).mode
    except InputError as error:
        return str(error)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SAMPLES), st.data())
def test_damaged_bytes_never_raise_anything_else(sample: bytes, data: st.DataObject) -> None:
    damaged = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    damaged = damaged[: data.draw(st.integers(0, len(damaged)))]
    outcome = mode_or_refusal(bytes(damaged))
    assert outcome == "RGB" or outcome.startswith(PLACE)
