"""The floors without an image, on counted cases and on easy-VQA."""

from __future__ import annotations

import pytest

from hificl.data import EPISODE, Example
from hificl.errors import InputError
from hificl.metrics import exact_match
from hificl.tasks import TASKS, blind_answers, easy_vqa, majority_answers, score_floors


def item(question: str, *answers: str) -> Example:
    return Example("x", [], question, answers)


SUPPORT = [item("a?", "no"), item("a?", "yes"), item("a?", "yes"), item("b?", "red", "yes"), item("b?", "red")]


def test_majority() -> None:
    assert majority_answers([*SUPPORT, item("c?", "red")], [item("b?"), item("z?")]) == ["red", "red"]


def test_blind_prior_uses_the_question_and_falls_back_to_the_majority() -> None:
    support = [*SUPPORT, item("c?", "yes")]
    assert blind_answers(support, [item("b?"), item("a?"), item("z?")]) == ["red", "yes", "yes"]


def test_ties_go_to_the_first_in_the_alphabet_whatever_the_order() -> None:
    assert majority_answers(SUPPORT, [item("z?")]) == ["red"]
    assert majority_answers(SUPPORT[::-1], [item("z?")]) == ["red"]


def test_a_query_of_an_episode_gets_the_answer_of_its_episode() -> None:
    rows = [("x", "a?", "no"), ("x", "b?", "bof"), ("y", "a?", "dut"), ("x", "b?", "bof"), ("y", "b?", "kez")]
    support = [*SUPPORT, *(Example("e", [], question, [answer], {EPISODE: name}) for name, question, answer in rows)]
    queries = [Example("q", [], "a?", [], {EPISODE: name}) for name in ("x", "y", None, "z")]
    assert majority_answers(support, queries) == ["bof", "dut", "bof", "bof"]
    assert blind_answers(support, queries) == ["no", "dut", "no", "bof"]


def test_unlabelled_or_empty_support() -> None:
    for floor in (majority_answers, blind_answers):
        with pytest.raises(InputError, match="support set is empty"):
            floor([], SUPPORT)
        with pytest.raises(InputError, match="support example 'x' has no answer"):
            floor([item("a?")], SUPPORT)


def test_floors_are_scored_against_all_accepted_answers() -> None:
    support = [item("a?", "no"), item("a?", "no"), item("b?", "yes")]
    queries = [item("a?", "no"), item("b?", "si", "yes"), item("b?", "yes"), item("b?", "dut")]
    assert score_floors(support, queries, exact_match) == {"majority": 25.0, "blind": 75.0}


def test_blind_prior_of_the_full_easy_vqa() -> None:
    """The published floors of the data: 67.0 % overall, 23.3 % on the 2,537 open questions."""
    train, test = easy_vqa.read_split("train"), easy_vqa.read_split("test")
    opened = [example for example in test if example.meta["open"]]
    assert len(opened) == 2537
    for queries, expected in ((test, 67.0), (opened, 23.3)):
        score = exact_match(blind_answers(train, queries), [query.answers for query in queries]).score
        assert abs(score - expected) < 0.25


def test_open_questions_need_the_image() -> None:
    data = TASKS["easy_vqa"].load()
    queries = [query for query in data.queries if query.meta["open"]]
    score = exact_match(blind_answers(data.support, queries), [query.answers for query in queries]).score
    assert 10 < score < 30
