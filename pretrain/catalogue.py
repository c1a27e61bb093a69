"""What may be shown and asked: images by concept, names, facts, and questions with true answers about scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pretrain import wording
from pretrain.data.facts import Fact
from pretrain.data.pool import IMAGE_SIZE, ImagePool
from pretrain.data.scenes import COLORS, SHAPES, SIDES, SIZES

NAMED_LOCALES = ("de", "es", "fr", "it")

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


Named = list[tuple[int, str]]  # image number and true answer


@dataclass(frozen=True)
class Catalogue:
    """Images by concept for one split; image numbers count through the pools one after the other.

    families: family -> concept word -> image numbers; family "scene" has the one concept "any".
    things: image number -> the shapes of that scene.
    named: what a picture shows, by the kind of answer: "name", "kind" and "group" of emoji, their name in another
        language (the locale), "country" of flags, "garment", "digit".
    facts: rows of words alone.
    """

    families: Families
    things: dict[int, list[Thing]]
    named: dict[str, Named] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)


def _by_concept(words: list[str], numbers: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    found = {word: numbers[labels == index] for index, word in enumerate(words)}
    return {word: members for word, members in found.items() if len(members) > 1}


def _scene_families(pool: ImagePool, offset: int) -> Families:
    single = np.flatnonzero((pool.labels["shape"] >= 0).sum(1) == 1)
    color, shape = pool.labels["color"][single, 0], pool.labels["shape"][single, 0]
    pairs = [f"{a} {b}" for a in COLORS for b in SHAPES]
    return {
        "scene": {"any": offset + np.arange(len(pool))},
        "color": _by_concept(COLORS, offset + single, color),
        "shape": _by_concept(SHAPES, offset + single, shape),
        "pair": _by_concept(pairs, offset + single, color * len(SHAPES) + shape),
    }


def _read_name(pool: ImagePool, label: str, index: int) -> str:
    return pool.names[label][pool.labels[label][index]]


def _emoji_names(pool: ImagePool, numbers: np.ndarray, chosen: np.ndarray, facts: list[Fact]) -> dict[str, Named]:
    """Return the nameable emoji by kind of answer, in the other languages as far as `facts` know them."""
    translations = {(fact.subject, fact.relation): fact.object for fact in facts}
    named: dict[str, Named] = {name: [] for name in ("name", "kind", "group", *NAMED_LOCALES)}
    for number, index in zip(numbers.tolist(), chosen, strict=True):
        name = _read_name(pool, "concept", index)
        if len(name.split()) > 3 or not name.replace(" ", "").isalpha():
            continue
        named["name"].append((number, name))
        named["kind"].append((number, wording.KIND_WORDS[_read_name(pool, "kind", index)]))
        named["group"].append((number, _read_name(pool, "group", index).replace("-", " ")))
        for locale in NAMED_LOCALES:
            if (name, locale) in translations:
                named[locale].append((number, translations[name, locale]))
    return named


def build_catalogue(
    pools: Mapping[str, ImagePool], offsets: Mapping[str, int], held_out: bool, facts: Sequence[Fact] = ()
) -> Catalogue:
    """Index the pools.

    pools: "scenes", and any of "emoji", "flags", "digits", "fashion".  offsets: image number of each pool's first.
    held_out: take the concepts that are kept out of training, and garments as a family; they never bear a made-up
        label in training. Otherwise take the rest.
    """
    scenes = pools["scenes"]
    things = {offsets["scenes"] + index: scene_things(scenes, index) for index in range(len(scenes))}
    families, named = _scene_families(scenes, offsets["scenes"]), {}
    for pool, label, family in (
        ("emoji", "concept", "emoji"),
        ("emoji", "group", "group"),
        ("flags", "country", "country"),
        ("digits", "concept", "digit"),
        ("fashion", "concept", "garment"),
    ):
        if pool not in pools:
            continue
        picture = pools[pool]
        chosen = np.flatnonzero((picture.labels.get("held_out", np.full(len(picture), held_out)) == 1) == held_out)
        numbers = offsets[pool] + chosen
        if family != "garment" or held_out:
            families[family] = _by_concept(picture.names[label], numbers, picture.labels[label][chosen])
        if family == "emoji":
            named |= _emoji_names(picture, numbers, chosen, list(facts))
        elif pool != "emoji":
            words = [_read_name(picture, label, index) for index in chosen]
            named[family] = list(zip(numbers.tolist(), words, strict=True))
    return Catalogue(families, things, named, [fact for fact in facts if fact.relation in wording.FACTS])


def merge_names(pools: Mapping[str, ImagePool], facts: Sequence[Fact] = ()) -> list[str]:
    """Return the names, groups and facts that the tokenizer should know."""
    labels = {"emoji": ("concept", "group"), "flags": ("country",), "fashion": ("concept",), "digits": ("concept",)}
    words = [word for pool in pools for label in labels.get(pool, ()) for word in pools[pool].names[label]]
    known = (*wording.FACTS, *NAMED_LOCALES)
    return [word.replace("-", " ") for word in words] + [fact.object for fact in facts if fact.relation in known]
