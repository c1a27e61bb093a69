"""Episodes keep one hidden rule, hold out what must be held out, and count only what can be known."""

import numpy as np
import pytest

from pretrain import wording
from pretrain.catalogue import Thing, ask
from pretrain.data.scenes import COLORS, SHAPES
from pretrain.episodes import (
    SORTS,
    Draw,
    affix,
    convention,
    flipped,
    made_up_labels,
    permuted,
    word_map,
)
from pretrain.episodes import (
    scenes as scene_rounds,
)


def rounds(sort, catalogue, seed, count=14, **options):
    draw = Draw(np.random.default_rng(seed), catalogue, held_out=options.pop("held_out", False))
    next_round = sort(draw, **options)
    return [next_round() for _ in range(count)]


def concept_of(catalogue, family, image):
    return next(word for word, members in catalogue.families[family].items() if image in members)


@pytest.mark.parametrize("family", ["color", "shape", "emoji"])
@pytest.mark.parametrize("held_out", [False, True])
def test_made_up_labels_bind_concept_to_word_and_respect_held_out_pairs(catalogue, family, held_out):
    for seed in range(12):
        turns = rounds(made_up_labels, catalogue, seed, family=family, ways=3, held_out=held_out)
        label = {}
        for turn in turns:
            concept = concept_of(catalogue, family, turn.image)
            assert turn.learned == (concept in label)
            assert label.setdefault(concept, turn.answer) == turn.answer
            assert wording.is_held_out_pair(concept, turn.answer) == held_out
        assert len(set(label.values())) == len(label) <= 3


def test_same_image_episodes_show_one_image_per_label(catalogue):
    turns = rounds(made_up_labels, catalogue, 1, same=True, ways=2, family="color")
    assert len({(turn.image, turn.answer) for turn in turns}) == 2


def test_families_without_images_are_not_drawn(scenes_only):
    images = {turn.image for seed in range(20) for turn in rounds(made_up_labels, scenes_only, seed)}
    assert images <= set(scenes_only.families["scene"]["any"])


def test_permuted_answers_are_real_words_and_never_the_true_one(catalogue):
    for seed in range(10):
        for turn in rounds(permuted, catalogue, seed):
            family = "color" if turn.answer in COLORS else "shape"
            assert turn.answer in COLORS + SHAPES
            assert concept_of(catalogue, family, turn.image) != turn.answer


def test_flipped_answers_are_the_opposite_of_the_true_ones(catalogue):
    plain = rounds(lambda draw: scene_rounds(draw, kind="presence", name="short"), catalogue, 0)
    assert {turn.answer for turn in plain} == {"yes", "no"}
    draw = Draw(np.random.default_rng(4), catalogue)
    next_round = flipped(draw)
    turns = [next_round() for _ in range(5)]
    assert [turn.learned for turn in turns] == [False, False, True, True, True]


def test_flipped_and_true_disagree(catalogue, monkeypatch):
    monkeypatch.setattr("pretrain.episodes._scene_round", lambda *_: (0, "is it there?", "yes"))
    assert {turn.answer for turn in rounds(flipped, catalogue, 0)} == {"no"}


def test_word_map_counts_a_partner_from_its_second_use(catalogue):
    partner = {}
    for turn in rounds(word_map, catalogue, 2, count=30):
        assert turn.image is None
        assert turn.learned == (turn.question in partner)
        assert partner.setdefault(turn.question, turn.answer) == turn.answer


def test_asked_map_puts_one_question_behind_every_word(catalogue):
    questions = {turn.question.split(" ", 1)[1] for turn in rounds(SORTS["asked map"], catalogue, 3)}
    assert len(questions) == 1


def test_conventions_put_the_answer_into_one_form(catalogue):
    draw = Draw(np.random.default_rng(0), catalogue)
    assert convention(draw, "short")("red") == "red"
    assert convention(draw, "upper")("red") == "RED"
    assert convention(draw, "capital")("red") == "Red"
    assert convention(draw, "prefix")("red").endswith(" red")
    assert convention(draw, "suffix")("red").startswith("red ")
    sentence = convention(draw, "sentence")
    assert sentence("red") == sentence("teal").replace("teal", "red") != "red"


def test_held_out_affixes_never_appear_in_training(catalogue):
    for held_out in (False, True):
        draw = Draw(np.random.default_rng(1), catalogue, held_out=held_out)
        assert {wording.is_held_out_affix(affix(draw)) for _ in range(300)} == {held_out}


def test_first_answer_without_demonstrations_is_mostly_a_sentence(catalogue):
    counted = []
    for seed in range(400):
        turn = rounds(scene_rounds, catalogue, seed, count=1)[0]
        if turn.learned:
            counted.append(len(turn.answer.split()) >= 3)
    assert 0.5 < np.mean(counted) < 0.68


THINGS = [Thing("red", "circle", "large", "left"), Thing("teal", "star", "small", None)]


@pytest.mark.parametrize("seed", range(40))
def test_presence_answers_are_true(seed):
    question, answer = ask(np.random.default_rng(seed), "presence", THINGS)
    negated = any(word in question.split() for word in ("not", "no")) or "missing" in question
    colors = [color for color in COLORS if color in question.split() or f"{color}?" in question]
    shapes = [shape for shape in SHAPES if shape in question.replace("?", "").split()]
    there = any((not colors or thing.color in colors) and (not shapes or thing.shape in shapes) for thing in THINGS)
    assert answer == ("yes" if there != negated else "no")


def test_questions_name_what_tells_the_shapes_apart():
    for seed in range(20):
        question, answer = ask(np.random.default_rng(seed), "color", THINGS)
        assert {"circle": "red", "star": "teal"}[next(s for s in ("circle", "star") if s in question)] == answer
    twins = [THINGS[0], Thing("blue", "circle", "small", "left")]
    assert ask(np.random.default_rng(0), "color", twins) is None
    assert ask(np.random.default_rng(0), "size", THINGS) is None
    assert ask(np.random.default_rng(0), "count", THINGS)[1] == "two"
    assert ask(np.random.default_rng(0), "side", THINGS)[1] == "left"


@pytest.mark.parametrize("sort", list(SORTS))
def test_the_same_randomness_gives_the_same_episode(catalogue, sort):
    assert rounds(SORTS[sort], catalogue, 9) == rounds(SORTS[sort], catalogue, 9)
    assert rounds(SORTS[sort], catalogue, 9) != rounds(SORTS[sort], catalogue, 10)
