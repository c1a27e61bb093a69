"""Headers of GGUF files that lie: refused at once, with the place, whatever they promise."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from backbones.tiny_gguf import tiny_llama, write_gguf
from hificl.backbones.gguf_header import check_header
from hificl.errors import InputError

STRING, ARRAY, FLOAT = 8, 9, 6


def text(content: bytes) -> bytes:
    return struct.pack("<Q", len(content)) + content


def header(*values: bytes, tensors: int = 0, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, len(values)) + b"".join(values) + rest


def entry(kind: int, value: bytes) -> bytes:
    return text(b"key") + struct.pack("<I", kind) + value


GOOD = [
    entry(FLOAT, struct.pack("<f", 0.5)),
    entry(STRING, text(b"llama")),
    entry(ARRAY, struct.pack("<IQ", STRING, 2) + text(b"a") + text(b"")),
    entry(ARRAY, struct.pack("<IQ", FLOAT, 3) + b"\0" * 12),
]
TENSOR = text(b"blk") + struct.pack("<I2QIQ", 2, 7, 5, 0, 0)


def refused(file: Path, data: bytes) -> str:
    file.write_bytes(data)
    with pytest.raises(InputError) as caught:
        check_header(file)
    assert str(caught.value).startswith(f"{file}: the header is damaged (")
    return str(caught.value)


def test_whole_headers_pass(tmp_path: Path) -> None:
    (tmp_path / "small.gguf").write_bytes(header(*GOOD, tensors=1, rest=TENSOR))
    check_header(tmp_path / "small.gguf")
    write_gguf(tmp_path / "model.gguf", tiny_llama())
    check_header(tmp_path / "model.gguf")


@pytest.mark.parametrize("cut", range(1, 26, 6))
def test_every_cut_is_seen(tmp_path: Path, cut: int) -> None:
    whole = header(*GOOD, tensors=1, rest=TENSOR)
    assert "after the end" in (message := refused(tmp_path / "a", whole[:-cut])) or "the file ends at" in message


@pytest.mark.parametrize("kind", [STRING, FLOAT])
def test_an_array_of_endless_length_is_refused_at_once(tmp_path: Path, kind: int) -> None:
    data = header(entry(ARRAY, struct.pack("<IQ", kind, 2**60)), rest=b"\0" * 40)
    message = refused(tmp_path / "a", data)
    assert f"ends at {len(data)}" in message or f"the end at byte {len(data)}" in message


@pytest.mark.parametrize(
    "data, message",
    [
        (header(entry(13, b"\0" * 9)), "a value of the unknown type 13"),
        (header(entry(ARRAY, struct.pack("<IQ", ARRAY, 1))), "an array of the unknown type 9"),
        (header(tensors=1, rest=text(b"x") + struct.pack("<I", 5) + b"\0" * 99), "a tensor of 5 axes"),
        (header(text(b"k")[:-1]), "speaks of 1 bytes more, and the file ends at 32"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**63), "after the end at byte 24"),
    ],
)
def test_what_the_format_does_not_know(tmp_path: Path, data: bytes, message: str) -> None:
    assert message in refused(tmp_path / "a", data)
