"""How VQA accuracy cleans an answer before it compares: punctuation, number words, articles, contractions.

Every rule and quirk is that of the public VQA evaluator (``vqaEval.py``, 2015) as it runs on Python 3.
"""

from __future__ import annotations

import re

_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_ANY_PUNCTUATION = re.compile(f"[{re.escape(_PUNCTUATION)}]")
# \d also knows digits of other scripts, as it does there.
_COMMA_BETWEEN_DIGITS = re.compile(r"\d,\d")
_PERIOD_BEFORE_NO_DIGIT = re.compile(r"\.(?!\d)")
# Quirk: the evaluator hands the flag re.UNICODE (32) to an argument that counts, so later periods stay.
_MOST_PERIODS = 32

_ARTICLES = frozenset({"a", "an", "the"})
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBER_WORDS = {word: str(number) for number, word in enumerate(_DIGITS)} | {"none": "0"}

_CONTRACTIONS = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've
    he's how'd how'll how's isn't it'd it'd've it'll ma'am might've mightn't mightn't've must've mustn't needn't not've
    o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's
    someone'd someone'd've someone'll someone's something'd something'd've something'll that's there'd there'd've
    there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's
    what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've
    wouldn't wouldn't've y'all y'all'd've y'all'll you'd you'd've you'll you're you've
"""


def _without_one_apostrophe(words: str) -> dict[str, str]:
    """Every way to leave one apostrophe out of a contraction, with the contraction."""
    return {
        word[:place] + word[place + 1 :]: word
        for word in words.split()
        for place, character in enumerate(word)
        if character == "'"
    }


# Quirk: one entry of the evaluator's table is the wrong way round and takes the apostrophe away. Its entries with
# a capital I (Im, Ive, Id've) never apply, because answers are in lower case by then.
_REPAIRED = _without_one_apostrophe(_CONTRACTIONS) | {"somebody'd": "somebodyd"}


def strip_answer(answer: str) -> str:
    """What happens to every answer in every mode: newlines and tabs become spaces, the ends are stripped."""
    return answer.replace("\n", " ").replace("\t", " ").strip()


def normalise_answer(answer: str) -> str:
    """Clean an answer as the evaluator does where annotators disagree: punctuation, then words.

    Example:
        >>> normalise_answer("The two dogs, dont bark.")
        "2 dogs don't bark"
    """
    return _normalise_words(_strip_punctuation(answer))


def _strip_punctuation(answer: str) -> str:
    """Drop or blank out each mark, then drop periods that stand before no digit.

    Quirks: a mark is dropped everywhere once it stands next to a space anywhere, else each becomes a space, so that
    "t-shirt" becomes two words and "a t-shirt - red" one; a comma between digits anywhere drops all marks. Apostrophe,
    colon and other marks stay, and a period between digits as well as one before digits.
    """
    result = answer
    found = set(_ANY_PUNCTUATION.findall(answer))
    if found:
        drop_all = _COMMA_BETWEEN_DIGITS.search(answer) is not None
        for mark in found:
            dropped = drop_all or f"{mark} " in answer or f" {mark}" in answer
            result = result.replace(mark, "" if dropped else " ")
    if "." in result:
        result = _PERIOD_BEFORE_NO_DIGIT.sub("", result, count=_MOST_PERIODS)
    return result


def _normalise_words(answer: str) -> str:
    """Lower-case; number words to digits; no articles; contractions with their apostrophe; single spaces."""
    words = (_NUMBER_WORDS.get(word, word) for word in answer.lower().split())
    return " ".join(_REPAIRED.get(word, word) for word in words if word not in _ARTICLES)
