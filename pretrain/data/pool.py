"""A pool of 64x64 images with their labels, kept as plain arrays."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

IMAGE_SIZE = 64
PATCHES = 4  # patches along one side, as the tower sees them


@dataclass(frozen=True)
class ImagePool:
    """Images and labels of one source.

    images: uint8 [images, 64, 64, 3].
    labels: name -> integer array whose first axis is images; -1 marks an absent object.
    names: label family -> the words its integers stand for.
    """

    images: np.ndarray
    labels: dict[str, np.ndarray]
    names: dict[str, list[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    def save(self, path: Path) -> None:
        """Write the pool to `path` (.npz, no pickle), complete or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial.npz")
        words = np.frombuffer(json.dumps(self.names).encode(), np.uint8)
        labels: dict[str, Any] = {f"label_{name}": array for name, array in self.labels.items()}
        np.savez(partial, images=self.images, names=words, **labels)
        os.replace(partial, path)

    @staticmethod
    def load(path: Path) -> ImagePool:
        """Read a pool that `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            labels = {key[6:]: stored[key] for key in stored.files if key.startswith("label_")}
            return ImagePool(stored["images"], labels, json.loads(stored["names"].tobytes()))
