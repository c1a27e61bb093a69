"""Objects named by phrases, and CHAIR with a vocabulary of its own, counted by hand."""

from __future__ import annotations

import pytest

from hificl.errors import InputError
from hificl.metrics import chair
from hificl.metrics.object_words import Vocabulary

WORDS = {
    "man": "man", "man cook": "man cook", "Chef": "man cook", "slot machine": "slot machine", "cat face": "cat",
    "cat": "cat", "t-shirt": "shirt",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "mentions", "anywhere"),
    [
        ("a man cook and a cat", ["man cook", "cat"], {"man cook", "man", "cat"}),
        ("Cat face of the chef's cat", ["cat", "man cook", "cat"], {"cat", "man cook"}),
        ("slot, machine", ["slot machine"], {"slot machine"}),
        ("slot of a machine", [], set()),
        ("manly t-shirt", ["shirt"], {"shirt"}),
        ("", [], set()),
    ],
)
def test_the_longest_phrase_wins_in_mentions(text: str, mentions: list[str], anywhere: set[str]) -> None:
    vocabulary = Vocabulary(WORDS)
    assert vocabulary.mentions(text) == mentions
    assert vocabulary.named_anywhere([text]) == anywhere


def test_chair_with_a_vocabulary() -> None:
    captions = ["man with a cat", "slot machine", "a dog"]
    references = [["man cook", "chef"], ["slot machine", "cat"], ["cat"]]
    result = chair(captions, [[], [], ["man"]], references, vocabulary=WORDS)
    # man is in "man cook", the cat is invented; two more objects of the pictures stay unnamed in the last two.
    assert result.chair_i == pytest.approx(1 / 3)
    assert result.chair_s == pytest.approx(1 / 3)
    assert result.recall == pytest.approx(2 / 6)
    assert result.per_item == pytest.approx((1 / 2, 0, 0))


def test_unusable_input() -> None:
    with pytest.raises(InputError, match="the phrase ' -' of 'dash' has no word"):
        Vocabulary({" -": "dash"})
    with pytest.raises(InputError, match="no phrase was given"):
        Vocabulary({})
    with pytest.raises(InputError, match="item 0 has the object 'dog'; name one of the 5 objects of the vocabulary"):
        chair(["a cat"], [["dog"]], vocabulary=WORDS)
