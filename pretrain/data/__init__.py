"""The image sources of the pretraining, one record each; a new source is one more entry of SOURCES."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pretrain.data.emoji import build_emoji
from pretrain.data.pool import ImagePool
from pretrain.data.scenes import build_scenes

__all__ = ["SOURCES", "Source", "build_pools"]


@dataclass(frozen=True)
class Source:
    """One source of labelled images: its name, what it is, and the function that makes its pool.

    `build(cache, size, seed)` returns an ImagePool of about `size` images, the same for the same seed.
    """

    name: str
    description: str
    build: Callable[[Path, int, int], ImagePool]


SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        Source("scenes", "own procedural scenes: one to four shapes, 6 shapes, 12 colours", build_scenes),
        Source("emoji", "emoji in two drawing styles from two npm packages, with their names", build_emoji),
    )
}


def build_pools(cache: Path, sizes: Mapping[str, int], seed: int) -> dict[str, ImagePool]:
    """Build, or read back from `cache`, the pools of the named sources in the given sizes (images)."""
    pools = {}
    for name, size in sizes.items():
        path = cache / f"{name}-{size}-{seed}.npz"
        if not path.exists():
            SOURCES[name].build(cache, size, seed).save(path)
        pools[name] = ImagePool.load(path)
    return pools
