"""Draws episodes: rounds of image, question and answer that share one hidden rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pretrain import wording
from pretrain.catalogue import NAMED_LOCALES, Catalogue, ask, describe, random_things
from pretrain.data.scenes import COLORS, SHAPES

SCENE_KINDS = ["color", "shape", "presence", "count", "size", "side"]
SCENE_KIND_WEIGHTS = np.array([0.28, 0.28, 0.28, 0.06, 0.05, 0.05])
FAMILY_WEIGHTS = {
    "emoji": 0.26,
    "color": 0.24,
    "shape": 0.22,
    "pair": 0.12,
    "group": 0.06,
    "country": 0.05,
    "digit": 0.05,
}
NAMED_WEIGHTS = {
    "name": 0.32,
    "kind": 0.14,
    "group": 0.1,
    "country": 0.16,
    "garment": 0.08,
    "digit": 0.08,
    **dict.fromkeys(NAMED_LOCALES, 0.03),
}


@dataclass(frozen=True)
class Round:
    """One round. image: its number, or None for a round of text only.  learned: whether the answer is in the loss."""

    image: int | None
    question: str
    answer: str
    learned: bool = True


@dataclass
class Draw:
    """Everything an episode sort may use.

    held_out: draw the pairs and words kept out of training, instead of the others.
    """

    rng: np.random.Generator
    catalogue: Catalogue
    held_out: bool = False

    def pick(self, items: list[str]) -> str:
        """Return one of `items`."""
        return items[self.rng.integers(len(items))]

    def weighted(self, weights: Mapping[str, float]) -> str:
        """Return one of the names, in proportion to its weight."""
        shares = np.array(list(weights.values()))
        return str(self.rng.choice(list(weights), p=shares / shares.sum()))


Rounds = Callable[[], Round]  # draws the next round of an episode


def _label(draw: Draw, concept: str, taken: set[str]) -> str:
    """Return an unused made-up word for a concept, from the training pairs or the held-out ones."""
    while True:
        word = draw.pick(wording.MADE_UP)
        if word not in taken and wording.is_held_out_pair(concept, word) == draw.held_out:
            taken.add(word)
            return word


def made_up_labels(draw: Draw, *, family: str | None = None, ways: int | None = None, same: bool = False) -> Rounds:
    """Episode sort: 2 to 8 concepts of one family, each with a made-up word; a word counts from its second use.

    same: every concept is always shown by the same image.
    """
    rng = draw.rng
    if family is None:
        families = draw.catalogue.families
        family = draw.weighted({name: w for name, w in FAMILY_WEIGHTS.items() if len(families.get(name, ())) > 1})
    concepts = draw.catalogue.families[family]
    words = list(concepts)
    if ways is None:
        ways = 2 if rng.random() < 0.5 else int(rng.integers(3, 9))
    chosen = [words[i] for i in rng.permutation(len(words))[:ways]]
    taken: set[str] = set()
    labels = [_label(draw, concept, taken) for concept in chosen]
    images = [concepts[concept] for concept in chosen]
    if same:
        images = [members[rng.integers(len(members), size=1)] for members in images]
    question = draw.pick(wording.GENERIC) if rng.random() < 0.8 else draw.pick(wording.COLOR_BARE + wording.SHAPE_BARE)
    shown: set[int] = set()

    def next_round() -> Round:
        which = int(rng.integers(len(chosen)))
        learned = which in shown
        shown.add(which)
        members = images[which]
        return Round(int(members[rng.integers(len(members))]), question, labels[which], learned)

    return next_round


def permuted(draw: Draw) -> Rounds:
    """Episode sort: colours or shapes whose own words are exchanged among each other."""
    rng = draw.rng
    family = "color" if rng.random() < 0.5 else "shape"
    concepts = draw.catalogue.families[family]
    words = [list(concepts)[i] for i in rng.permutation(len(concepts))[: int(rng.integers(2, 5))]]
    answers = [words[(i + 1) % len(words)] for i in range(len(words))]
    question = draw.pick(wording.COLOR_BARE if family == "color" else wording.SHAPE_BARE)
    shown: set[int] = set()

    def next_round() -> Round:
        which = int(rng.integers(len(words)))
        learned = which in shown
        shown.add(which)
        members = concepts[words[which]]
        return Round(int(members[rng.integers(len(members))]), question, answers[which], learned)

    return next_round


def affix(draw: Draw) -> str:
    """Return a word that serves as a convention's prefix or suffix."""
    while True:
        word = draw.pick(wording.MADE_UP if draw.rng.random() < 0.7 else wording.REAL_AFFIXES)
        if wording.is_held_out_affix(word) == draw.held_out:
            return word


def convention(draw: Draw, name: str) -> Callable[[str], str]:
    """Return the function that puts a plain answer into the form that an episode keeps to."""
    if name == "sentence":
        weights = np.array(wording.SENTENCE_WEIGHTS) / sum(wording.SENTENCE_WEIGHTS)
        template = wording.SENTENCES[draw.rng.choice(len(weights), p=weights)]
        return lambda answer: template.format(x=answer)
    if name == "upper":
        return str.upper
    if name == "capital":
        return str.capitalize
    if name in ("prefix", "suffix"):
        word = affix(draw)
        return lambda answer: f"{word} {answer}" if name == "prefix" else f"{answer} {word}"
    return lambda answer: answer


CONVENTIONS = {"short": 0.34, "sentence": 0.36, "prefix": 0.1, "suffix": 0.1, "upper": 0.06, "capital": 0.04}


def _scene_round(draw: Draw, kind: str | None, images: np.ndarray | None) -> tuple[int | None, str, str]:
    """Return (image, question, plain answer); images None means a scene described in words."""
    rng = draw.rng
    while True:
        chosen = kind or str(rng.choice(SCENE_KINDS, p=SCENE_KIND_WEIGHTS))
        image = None if images is None else int(images[rng.integers(len(images))])
        things = random_things(rng) if image is None else draw.catalogue.things[image]
        asked = ask(rng, chosen, things)
        if asked is None or (image is None and chosen in ("size", "side")):
            continue
        question, answer = asked
        return image, f"{describe(things)}. {question}" if image is None else question, answer


def _natural(draw: Draw, name: str | None, source: Callable[[], tuple[int | None, str, str]]) -> Rounds:
    """Turn a source of true rounds into an episode with one answer convention.

    The first round is the zero-shot case: sentences always count there, other forms in two
    episodes of five, so that the habit without demonstrations is to answer in a sentence.
    """
    if name is None:
        name = str(draw.rng.choice(list(CONVENTIONS), p=list(CONVENTIONS.values())))
    form = convention(draw, name)
    first = [name == "sentence" or draw.rng.random() < 0.4]

    def next_round() -> Round:
        image, question, answer = source()
        learned = first.pop() if first else True
        return Round(image, question, form(answer), learned)

    return next_round


def scenes(draw: Draw, *, kind: str | None = None, name: str | None = None, text: bool = False) -> Rounds:
    """Episode sort: questions about scenes, of one kind or mixed, in one answer convention.

    text: the scene is described in words instead of shown.
    """
    if kind is None and draw.rng.random() < 0.5:
        kind = str(draw.rng.choice(SCENE_KINDS, p=SCENE_KIND_WEIGHTS))
        kind = "presence" if text and kind in ("size", "side") else kind
    images = None if text else draw.catalogue.families["scene"]["any"]
    return _natural(draw, name, lambda: _scene_round(draw, kind, images))


def named(draw: Draw, *, name: str | None = None) -> Rounds:
    """Episode sort: what pictures show, by one kind of answer, in one answer convention."""
    rows = draw.catalogue.named
    kind = draw.weighted({kind: weight for kind, weight in NAMED_WEIGHTS.items() if rows.get(kind)})
    templates = wording.NAMED.get(kind, wording.NAME)

    def source() -> tuple[int | None, str, str]:
        image, answer = rows[kind][draw.rng.integers(len(rows[kind]))]
        return image, draw.pick(templates), answer

    return _natural(draw, name, source)


def facts(draw: Draw) -> Rounds:
    """Episode sort, text only: facts about countries, of one relation or mixed, in one answer convention."""
    rows = draw.catalogue.facts
    if draw.rng.random() < 0.5:
        relation = draw.pick(sorted({fact.relation for fact in rows}))
        rows = [fact for fact in rows if fact.relation == relation]

    def source() -> tuple[int | None, str, str]:
        fact = rows[draw.rng.integers(len(rows))]
        return None, draw.pick(wording.FACTS[fact.relation]).format(x=fact.subject), fact.object

    return _natural(draw, None, source)


def flipped(draw: Draw) -> Rounds:
    """Episode sort: presence questions whose yes and no are exchanged; counts from the third round."""
    images = draw.catalogue.families["scene"]["any"]
    seen = [0]

    def next_round() -> Round:
        image, question, answer = _scene_round(draw, "presence", images)
        seen[0] += 1
        return Round(image, question, "no" if answer == "yes" else "yes", seen[0] > 2)

    return next_round


def word_map(draw: Draw, *, asked: bool = False) -> Rounds:
    """Episode sort, text only: 2 to 8 words, each with a partner word; a partner counts from its second use.

    asked: a question stands between the word and its partner, as it does after an image.
    """
    rng = draw.rng
    question = f" {draw.pick(wording.GENERIC + wording.COLOR_BARE + wording.SHAPE_BARE)}" if asked else ""
    pool = wording.MADE_UP + COLORS + SHAPES
    count = int(rng.integers(2, 9))
    order = [pool[i] for i in rng.permutation(len(pool))[: 2 * count]]
    shown: set[int] = set()

    def next_round() -> Round:
        which = int(rng.integers(count))
        learned = which in shown
        shown.add(which)
        return Round(None, order[which] + question, order[count + which], learned)

    return next_round


SORTS: Mapping[str, Callable[[Draw], Rounds]] = {
    "same image": lambda draw: made_up_labels(draw, same=True),
    "labels": made_up_labels,
    "permuted": permuted,
    "scenes": scenes,
    "scene text": lambda draw: scenes(draw, text=True),
    "named": named,
    "facts": facts,
    "flipped": flipped,
    "word map": word_map,
    "asked map": lambda draw: word_map(draw, asked=True),
}
