"""Tokens of captions: values that the public tokenizer (run once in Java) gives, and what must hold for any text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hificl.metrics.caption_tokens import tokenise_caption


@pytest.mark.parametrize(
    ("caption", "tokens"),
    [
        ("A man riding a wave on top of a surfboard.", "a man riding a wave on top of a surfboard"),
        ("Two dogs , one red-and-white .", "two dogs one red-and-white"),
        ("A man isn't riding; he can't, won't", "a man is n't riding he ca n't wo n't"),
        ("it's the dogs' James's bowl", "it 's the dogs james 's bowl"),
        ("I'm you're we'll he'd they've", "i 'm you 're we 'll he 'd they 've"),
        ("it\u2019s don\u2019t \u201cstop\u201d \u2018red\u2019 \u2026 \u2014", "it 's do n't stop red"),
        ("rock 'n' roll 'em 'til o'clock ma'am cap'n y'all", "rock 'n' roll 'em 'til o'clock ma'am cap'n y' all"),
        ("He cannot, she's gonna gotta wanna gimme", "he can not she 's gon na got ta wan na gim me"),
        ("'tis '80s 1980's 1980s", "'t is '80s 1980 's 1980s"),
        ("(a) [b] {c}", "-lrb- a -rrb- -lsb- b -rsb- -lcb- c -rcb-"),  # the list to remove them is in capitals
        ("wow! wow!! what?! no... hm -- -", "wow wow !! what ?! no hm"),  # runs of marks are not on that list
        ("at 9:30pm, 10am, 5 p.m.", "at 9:30 pm 10am 5 p.m."),
        ("1,000 3.5 .5 5. -5 1/2 2 1/2 cups 1.5-inch", "1,000 3.5 .5 5 -5 1/2 2 1/2 cups 1.5-inch"),
        ("$5 50% #1 #tag @me \u00a35 5\u00a2 \u00bd", "$ 5 50 % # 1 #tag @me # 5 5 cents 1/2"),
        ("the U.S. St. and Mr. Smith sat. no. 5 no. five", "the u.s. st. and mr. smith sat no. 5 no five"),
        ("and/or black/white w/ a//b", "and/or black/white w / a / / b"),
        ("AT&T R&B at&t &amp; &", "at&t r&b at & t & &"),
        ("6'2\" 747's B-52 2nd t-shirt", "6 2 747 's b-52 2nd t-shirt"),
        ("na\u00efve caf\u00e9 \u65e5\u672c \U0001f600 x\u00b2", "na\u00efve caf\u00e9 \u65e5\u672c x \u00b2"),
        (":) ;-( <3", ":-rrb- ;--lrb- < 3"),
        ("a\nb\r\nc\td\u2028e", "a b c d e"),
        ("foo@bar.com www.abc.com dog.The", "foo@bar.com www.abc.com dog.the"),
        ("<b>hi</b>", "<b> hi </b>"),
        ("", ""),
        (" . ", ""),
    ],
)
def test_values_of_the_public_tokenizer(caption: str, tokens: str) -> None:
    assert tokenise_caption(caption) == tokens.split(" ") if tokens else tokenise_caption(caption) == []


@given(st.text(max_size=40))
def test_tokens_of_any_text(caption: str) -> None:
    tokens = tokenise_caption(caption)
    for token in tokens:
        assert token == token.lower()
        assert token
        assert token.split() == [token]
        assert token not in {"''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"}
    assert tokenise_caption(f"  {caption}\n") == tokens


@pytest.mark.parametrize("unit", [" ", "a", "a-", "<a b ", "a@", "1 ", "a'", ".", "no. ", "&amp;", 'a="'])
def test_long_hostile_captions_take_no_time(unit: str) -> None:
    tokenise_caption("warm")
    start = time.process_time()
    tokenise_caption(unit * (4000 // len(unit)))
    assert time.process_time() - start < 2.0
