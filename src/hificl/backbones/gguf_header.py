"""The header of a GGUF file, walked before a reader trusts its counts: no loop and no read goes past its end."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from hificl.errors import InputError

VERSIONS = (2, 3)

_STRING, _ARRAY = 8, 9
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of one value by its type: integers of 8 to 32 bits, float, bool, integers of 64 bits, double."""

_DIMENSIONS = 4
"""Most axes of a tensor in this format."""


def check_header(file: Path) -> int:
    """Refuse a file whose header is not that of GGUF, or speaks of more than the file holds.

    Returns:
        The number of tensors in the file.

    Raises:
        InputError: with the file, and the place in it where the header fails.
    """
    with file.open("rb") as stream:
        start = stream.read(8)
        version = int.from_bytes(start[4:], "little")
        if len(start) < 8 or start[:4] != b"GGUF" or version not in VERSIONS:
            raise InputError(
                f"{file}: not a little-endian GGUF file of version 2 or 3 (it begins with {start!r}); copy it again."
            )
        header = _Header(stream, file.stat().st_size)
        try:
            tensors, values = header.number("<Q"), header.number("<Q")
            for _ in range(values):
                header.string()
                header.value(header.number("<I"))
            for _ in range(tensors):
                header.tensor()
        except ValueError as error:
            raise InputError(f"{file}: the header is damaged ({error}); copy the file again.") from error
    return tensors


class _Header:
    """Reads forward only; every step takes at least a byte, so a walk is no longer than the file."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream, self.size = stream, size

    def number(self, form: str) -> int:
        data = self.stream.read(struct.calcsize(form))
        if len(data) < struct.calcsize(form):
            raise ValueError(f"it goes on after the end at byte {self.size}")
        return int(struct.unpack(form, data)[0])

    def skip(self, count: int) -> None:
        place = self.stream.tell()
        if count > self.size - place:
            raise ValueError(f"at byte {place} it speaks of {count} bytes more, and the file ends at {self.size}")
        self.stream.seek(count, 1)

    def string(self) -> None:
        self.skip(self.number("<Q"))

    def value(self, kind: int) -> None:
        if kind == _STRING:
            self.string()
        elif kind == _ARRAY:
            self.array()
        elif kind in _SIZES:
            self.skip(_SIZES[kind])
        else:
            raise ValueError(f"at byte {self.stream.tell()} is a value of the unknown type {kind}")

    def array(self) -> None:
        kind, count = self.number("<I"), self.number("<Q")
        if kind in _SIZES:
            self.skip(count * _SIZES[kind])
        elif kind == _STRING:
            for _ in range(count):
                self.string()
        else:  # arrays of arrays are allowed by the format; no reader here needs one
            raise ValueError(f"at byte {self.stream.tell()} is an array of the unknown type {kind}")

    def tensor(self) -> None:
        self.string()
        axes = self.number("<I")
        if axes > _DIMENSIONS:
            raise ValueError(f"at byte {self.stream.tell()} is a tensor of {axes} axes")
        self.skip(axes * 8 + 4 + 8)
