"""Own wording: nothing of easy-VQA, and words that a rule can hold out."""

import itertools
import json
from pathlib import Path

import easy_vqa

from pretrain import wording
from pretrain.data.scenes import COLORS, SHAPES

TEMPLATES = [
    *(wording.COLOR_BARE + wording.COLOR_NAMED + wording.SHAPE_BARE + wording.SHAPE_NAMED),
    *(wording.PRESENT + wording.ABSENT + wording.COUNT + wording.SIZE + wording.SIDE),
    *(wording.NAME + wording.KIND + wording.GROUP + wording.GENERIC),
]


def own_questions():
    questions = set()
    for template, color, shape in itertools.product(TEMPLATES, COLORS, [*SHAPES, "shape"]):
        for article, bare in itertools.product(("a", "any"), (f"{color} shape", shape, f"{color} {shape}")):
            questions.add(template.format(a=f"{article} {bare}", bare=bare, color=color, shape=shape))
    return questions


def test_no_question_of_easy_vqa_is_asked():
    folder = Path(easy_vqa.__file__).parent / "data"
    theirs = {
        row[0] for split in ("train", "test") for row in json.loads((folder / split / "questions.json").read_text())
    }
    assert len(theirs) >= 107
    assert not own_questions() & theirs


def test_made_up_words_differ_from_each_other_and_from_real_words():
    words = wording.MADE_UP
    assert len(set(words)) == len(words) == 240
    assert not set(words) & {*COLORS, *SHAPES, *wording.REAL_AFFIXES, "yes", "no"}
    assert wording.made_up_words(50) == words[:50]


def test_hold_outs_have_their_share():
    pairs = [wording.is_held_out_pair(color, word) for color in COLORS for word in wording.MADE_UP]
    assert 0.17 < sum(pairs) / len(pairs) < 0.23
    affixes = [wording.is_held_out_affix(word) for word in wording.MADE_UP]
    assert 0.05 < sum(affixes) / len(affixes) < 0.16
