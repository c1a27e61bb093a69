"""What may be shown and asked: images by concept, and questions with true answers about scenes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pretrain import wording
from pretrain.data.pool import IMAGE_SIZE, ImagePool
from pretrain.data.scenes import COLORS, SHAPES, SIDES, SIZES

Families = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Thing:
    """One shape of a scene, in words; side is None where it is near the middle."""

    color: str
    shape: str
    size: str
    side: str | None


def scene_things(pool: ImagePool, index: int) -> list[Thing]:
    """Return the shapes of one scene."""
    things = []
    for slot in range(pool.labels["shape"].shape[1]):
        if pool.labels["shape"][index, slot] < 0:
            break
        offset = int(pool.labels["center"][index, slot, 0]) - IMAGE_SIZE // 2
        side = None if abs(offset) < 8 else SIDES[int(offset > 0)]
        color, shape, size = (
            words[pool.labels[name][index, slot]]
            for name, words in (("color", COLORS), ("shape", SHAPES), ("size", SIZES))
        )
        things.append(Thing(color, shape, size, side))
    return things


def random_things(rng: np.random.Generator) -> list[Thing]:
    """Return one or two imagined shapes, for rounds that describe a scene in words."""
    count = 1 if rng.random() < 0.7 else 2
    draws = rng.integers([len(COLORS), len(SHAPES), len(SIZES), 2], size=(count, 4))
    return [Thing(COLORS[a], SHAPES[b], SIZES[c], SIDES[d]) for a, b, c, d in draws]


def describe(things: list[Thing]) -> str:
    """Return the scene in words, e.g. `a red circle and a teal star`."""
    return " and ".join(f"a {thing.color} {thing.shape}" for thing in things)


def _pick(rng: np.random.Generator, items: list[str]) -> str:
    return items[rng.integers(len(items))]


def _unique(things: list[Thing], attribute: str) -> list[Thing]:
    values = [getattr(thing, attribute) for thing in things]
    return [thing for thing, value in zip(things, values, strict=True) if values.count(value) == 1]


def _presence(rng: np.random.Generator, things: list[Thing]) -> tuple[str, str]:
    """Ask whether something is (not) there; half of the things asked for are there."""
    thing = things[rng.integers(len(things))]
    color, shape = thing.color, thing.shape
    form = rng.integers(3)  # 0 colour, 1 shape, 2 both
    if rng.random() < 0.5:
        color = _pick(rng, COLORS) if form != 1 else color
        shape = _pick(rng, SHAPES) if form == 1 else shape
    bare = (f"{color} shape", shape, f"{color} {shape}")[form]
    there = any((form == 1 or other.color == color) and (form == 0 or other.shape == shape) for other in things)
    article = "a" if rng.random() < 0.8 else "any"
    negated = rng.random() < 0.5
    template = _pick(rng, wording.ABSENT if negated else wording.PRESENT)
    return template.format(a=f"{article} {bare}", bare=bare), "yes" if there != negated else "no"


def _attribute(
    rng: np.random.Generator, things: list[Thing], bare: list[str], named: list[str], answer: str, given: str
) -> tuple[str, str] | None:
    choices = _unique(things, given)
    if not choices:
        return None
    thing = choices[rng.integers(len(choices))]
    templates = named if len(things) > 1 or rng.random() < 0.6 else bare
    text = _pick(rng, templates)
    # A lone shape may also be called just "shape", as people do.
    shape = "shape" if len(things) == 1 and answer == "color" and rng.random() < 0.4 else thing.shape
    return text.format(color=thing.color, shape=shape), getattr(thing, answer)


def ask(rng: np.random.Generator, kind: str, things: list[Thing]) -> tuple[str, str] | None:
    """Return (question, true answer) of one kind about a scene, or None where the scene does not allow it.

    kind: "color", "shape", "presence", "count", "size" or "side".
    """
    if kind == "presence":
        return _presence(rng, things)
    if kind == "color":
        return _attribute(rng, things, wording.COLOR_BARE, wording.COLOR_NAMED, "color", "shape")
    if kind == "shape":
        return _attribute(rng, things, wording.SHAPE_BARE, wording.SHAPE_NAMED, "shape", "color")
    if kind == "count":
        return _pick(rng, wording.COUNT), wording.COUNT_WORDS[len(things) - 1]
    if kind == "size":
        return (_pick(rng, wording.SIZE), things[0].size) if len(things) == 1 else None
    sided = [thing for thing in _unique(things, "shape") if thing.side is not None]
    if not sided:
        return None
    thing = sided[rng.integers(len(sided))]
    return _pick(rng, wording.SIDE).format(shape=thing.shape), str(thing.side)


@dataclass(frozen=True)
class Catalogue:
    """Images by concept for one split; image numbers count through the pools one after the other.

    families: family -> concept word -> image numbers; family "scene" has the one concept "any".
    things: image number -> the shapes of that scene.
    emoji: rows (image number, name, kind, group) of the nameable emoji.
    """

    families: Families
    things: dict[int, list[Thing]]
    emoji: list[tuple[int, str, str, str]]


def _by_concept(words: list[str], numbers: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    found = {word: numbers[labels == index] for index, word in enumerate(words)}
    return {word: members for word, members in found.items() if len(members) > 1}


def build_catalogue(
    scenes: ImagePool, scene_offset: int, emoji: ImagePool, emoji_offset: int, held_out: bool
) -> Catalogue:
    """Index the pools: families color, shape, pair (single-shape scenes), emoji and group."""
    things = {scene_offset + index: scene_things(scenes, index) for index in range(len(scenes))}
    single = np.flatnonzero((scenes.labels["shape"] >= 0).sum(1) == 1)
    color, shape = scenes.labels["color"][single, 0], scenes.labels["shape"][single, 0]
    pairs = [f"{a} {b}" for a in COLORS for b in SHAPES]
    chosen = np.flatnonzero((emoji.labels["held_out"] == 1) == held_out)
    numbers = emoji_offset + chosen
    concepts, groups = emoji.names["concept"], emoji.names["group"]
    families = {
        "scene": {"any": scene_offset + np.arange(len(scenes))},
        "color": _by_concept(COLORS, scene_offset + single, color),
        "shape": _by_concept(SHAPES, scene_offset + single, shape),
        "pair": _by_concept(pairs, scene_offset + single, color * len(SHAPES) + shape),
        "emoji": _by_concept(concepts, numbers, emoji.labels["concept"][chosen]),
        "group": _by_concept(groups, numbers, emoji.labels["group"][chosen]),
    }
    rows = []
    for number, index in zip(numbers, chosen, strict=True):
        name = concepts[emoji.labels["concept"][index]]
        kind = wording.KIND_WORDS[emoji.names["kind"][emoji.labels["kind"][index]]]
        group = groups[emoji.labels["group"][index]].replace("-", " ")
        if len(name.split()) <= 3 and name.replace(" ", "").isalpha():
            rows.append((int(number), name, kind, group))
    return Catalogue(families, things, rows)


def merge_names(pools: Mapping[str, ImagePool]) -> list[str]:
    """Return the emoji names and groups that the tokenizer should know."""
    emoji = pools["emoji"]
    return [*emoji.names["concept"], *(group.replace("-", " ") for group in emoji.names["group"])]
