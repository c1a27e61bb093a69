"""CIDEr-D against the formula written out slowly, values of the public scorer, and what must hold for any captions."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from hificl.errors import InputError
from hificl.metrics import METRICS, DocumentFrequencies, cider_d

WORDS = [
    "a",
    "man",
    "the",
    "dog",
    "on",
    "red",
    "bike",
    "street",
    "with",
    "two",
    "is",
    "n't",
    "riding",
    "-lrb-",
    "9:30",
    "café",
]


def grams(text: str, n: int) -> Counter[str]:
    tokens = text.split()
    return Counter(" ".join(tokens[start : start + n]) for start in range(len(tokens) - n + 1))


def slow_cider_d(predictions: list[str], references: list[list[str]]) -> list[float]:
    """The definition, term by term, on tokens that are joined by spaces."""
    images = len(references)
    scores = []
    for caption, texts in zip(predictions, references, strict=True):
        total = 0.0
        for n in range(1, 5):

            def weight(gram: str, count: int, n: int = n) -> float:
                held = sum(any(gram in grams(text, n) for text in image) for image in references)
                return count * math.log(images / max(1, held))

            own = {gram: weight(gram, count) for gram, count in grams(caption, n).items()}
            for text in texts:
                other = {gram: weight(gram, count) for gram, count in grams(text, n).items()}
                product = sum(min(own.get(gram, 0.0), value) * value for gram, value in other.items())
                lengths = math.hypot(*own.values()) * math.hypot(*other.values())
                apart = grams(caption, 2).total() - grams(text, 2).total()
                cosine = product / lengths if lengths else 0.0
                total += cosine * math.exp(-(apart**2) / (2 * 6.0**2)) / len(texts)
        scores.append(10 * total / 4)
    return scores


def random_captions(seed: int, images: int) -> tuple[list[str], list[list[str]]]:
    generator = np.random.default_rng(seed)

    def caption() -> str:
        return " ".join(generator.choice(WORDS, size=generator.choice([0, 1, 2, 5, 9, 14])))

    references = [[caption() for _ in range(generator.integers(1, 6))] for _ in range(images)]
    predictions = [caption() if generator.random() < 0.5 else texts[0] for texts in references]
    return predictions, references


@pytest.mark.parametrize(("seed", "images"), [(0, 1), (1, 2), (2, 7), (3, 23)])
def test_equals_the_slow_formula(seed: int, images: int) -> None:
    predictions, references = random_captions(seed, images)
    result = cider_d(predictions, references, tokenized=True)
    expected = slow_cider_d(predictions, references)
    assert result.per_item == pytest.approx(expected, abs=1e-9)
    assert result.score == pytest.approx(sum(expected) / images, abs=1e-9)


def test_values_of_the_public_scorer() -> None:
    references = [
        ["a man rides a red bike", "a person on a bike"],
        ["two dogs play in the snow", "dogs run in snow", "two dogs"],
        ["a red bus on a street"],
    ]
    predictions = ["a man on a red bike", "two dogs in the snow", "a blue car"]
    result = cider_d(predictions, references, tokenized=True)
    assert result.per_item == pytest.approx(PUBLIC, abs=1e-9)


PUBLIC = [2.885433375806591, 2.9229145585669096, 0.24499894902543898]


def test_by_hand() -> None:
    """Two images that share no word: every weight is count x log 2 and cancels, so equal texts have cosine 1."""
    references = [["a b c d"], ["e f g h"]]
    assert cider_d(["a b c d", "e f g h"], references, tokenized=True).per_item == pytest.approx((10.0, 10.0))
    # Three of four words and two of three bigrams agree, one of two trigrams, no 4-gram.
    expected = 10 / 4 * (3 / 4 + 2 / 3 + 1 / 2)
    assert cider_d(["a b c x", "e f g h"], references, tokenized=True).per_item[0] == pytest.approx(expected)
    # One bigram less: three words of the lengths sqrt(3) and 2, and so on, and the penalty for the length.
    expected = 10 / 4 * (3 / math.sqrt(12) + 2 / math.sqrt(6) + 1 / math.sqrt(2)) * math.exp(-1 / 72)
    assert cider_d(["a b c", "e f g h"], references, tokenized=True).per_item[0] == pytest.approx(expected)
    # A repeated word counts at most as often as in the reference.
    expected = 10 / 4 * (1 / (math.sqrt(16) * 2))
    assert cider_d(["a a a a", "e f g h"], references, tokenized=True).per_item[0] == pytest.approx(expected)


def test_texts_are_tokenised_unless_they_are_tokens() -> None:
    predictions, references = ["A Man, on a bike!", "two dogs"], [["a man on a bike."], ["Two dogs run (fast)"]]
    tokens = ["a man on a bike", "two dogs"], [["a man on a bike"], ["two dogs run -lrb- fast -rrb-"]]
    assert cider_d(predictions, references) == cider_d(*tokens, tokenized=True)
    assert cider_d(predictions, references, tokenized=True) != cider_d(*tokens, tokenized=True)


def test_the_scale_is_raw() -> None:
    predictions, references = random_captions(5, 11)
    result = METRICS["cider_d"](predictions, references)
    assert (result.scale, result.unit) == (1.0, "")
    assert result.score == pytest.approx(sum(result.per_item) / 11)
    assert result.ci95[0] < result.score < result.ci95[1] <= 10


def test_order_and_extra_spaces_do_not_matter() -> None:
    predictions, references = random_captions(6, 9)
    result = cider_d(predictions, references, tokenized=True)
    turned = cider_d(predictions[::-1], [texts[::-1] for texts in references[::-1]], tokenized=True)
    assert turned.per_item[::-1] == pytest.approx(result.per_item)
    spaced = cider_d([f" {text.replace(' ', '   ')} " for text in predictions], references, tokenized=True)
    assert spaced == result


def test_single_image_and_empty_texts_score_zero() -> None:
    assert cider_d(["a man"], [["a man"]]).score == 0.0
    assert cider_d(["", "a"], [["a man"], ["", "."]]).per_item == (0.0, 0.0)


def test_frequencies_from_elsewhere(tmp_path: Path) -> None:
    predictions, references = random_captions(7, 13)
    everything = cider_d(predictions, references, tokenized=True)
    frequencies = DocumentFrequencies.from_references(references, tokenized=True)
    part = cider_d(predictions[:4], references[:4], tokenized=True, document_frequencies=frequencies)
    assert part.per_item == everything.per_item[:4]
    assert cider_d(predictions[:4], references[:4], tokenized=True).per_item != part.per_item
    frequencies.write(tmp_path / "df.json")
    read = cider_d(predictions[:4], references[:4], tokenized=True, document_frequencies=tmp_path / "df.json")
    assert read == part


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ([], [], "no item to score"),
        (["a"], [["a"], ["b"]], "1 predictions for 2 references"),
        (["a"], [[]], "item 0 needs a list of accepted answers"),
        ([None], [["a"]], "prediction 0 is a NoneType"),
    ],
)
def test_unusable_input(predictions: object, references: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        cider_d(predictions, references)  # type: ignore[arg-type]
