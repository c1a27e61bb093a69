"""How VQA answers are cleaned: values that the public evaluator gives, and its quirks one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hificl.metrics.vqa_answers import normalise_answer, strip_answer


@pytest.mark.parametrize(
    ("answer", "cleaned"),
    [
        ("", ""),
        ("The", ""),
        ("A red  Bus", "red bus"),
        ("two dogs and ten cats", "2 dogs and 10 cats"),
        ("none", "0"),
        ("eleven", "eleven"),
        ("dont", "don't"),
        ("couldnt've", "couldn't've"),
        ("couldn'tve", "couldn't've"),
        ("DONT", "don't"),
        ("Im", "im"),  # the table has it with a capital, but answers are in lower case
        ("somebody'd", "somebodyd"),  # the wrong way round in the table
        ("let's", "let's"),
        ("t-shirt", "t shirt"),
        ("t-shirt - red", "tshirt red"),  # next to a space somewhere: dropped everywhere
        ("-5", "5"),
        ("yes, no", "yes no"),
        ("yes,no", "yes no"),
        ("1,000", "1000"),
        ("1,000 a/b", "1000 ab"),  # a comma between digits drops every mark
        ("1, 000/5", "1 000 5"),
        ("3.5", "3.5"),
        ("5.", "5"),
        (".5", ".5"),
        ("u.s.a.", "usa"),
        ("a.m.", "am"),
        ("a.", ""),
        ("dr.5", "dr.5"),
        ("it's: 5:30", "it's: 5:30"),
        ("who?", "who"),
        ("what ?!", "what"),
        ("(a) b", "b"),
        ("$5 & #1*", "$5 & #1*"),
        ("one-two", "1 2"),
        ("one - two", "1 2"),
        ("\u0663,\u0664/a", "\u0663\u0664a"),  # digits of other scripts are digits
        ("a\u00a0the b", "b"),  # any white space separates words
        ("x" + "." * 33, "x."),  # 32 periods are removed, not more
        ("." * 33, "."),
    ],
)
def test_values_of_the_public_evaluator(answer: str, cleaned: str) -> None:
    assert normalise_answer(answer) == cleaned


def test_strip_answer_knows_newlines_and_tabs_alone() -> None:
    assert strip_answer("\tred\nbus\r\n") == "red bus"
    assert strip_answer("red\rbus") == "red\rbus"


@given(st.text(alphabet=" abThe19.,;/-?\n'\u00e9", max_size=20))
def test_case_articles_and_spaces_never_matter(answer: str) -> None:
    cleaned = normalise_answer(answer)
    assert cleaned == cleaned.lower() == " ".join(cleaned.split())
    assert normalise_answer(answer.upper()) == cleaned
    assert not {"a", "an", "the"} & set(cleaned.split())
