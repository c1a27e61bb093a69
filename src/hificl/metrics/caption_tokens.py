"""Captions as tokens, in the manner of the Penn Treebank tokenizer that the COCO caption evaluator runs in Java.

Written from what that tokenizer (Stanford CoreNLP 3.4.1) does on words, symbols and generated captions; no Java, no
data files. What differs is listed at :func:`tokenise_caption`.
"""

from __future__ import annotations

import re
from functools import cache

_DROPPED = frozenset({"''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"})
"""Tokens that the evaluator removes. Its list also has brackets, but in capitals, which never match: they stay."""

_WRITTEN_OUT = {
    "(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-",
    "\u00a2": "cents", "\u00a3": "#", "\u00a4": "$", "\u20ac": "$", "\u20a0": "$",
    "\u00bc": "1/4", "\u00bd": "1/2", "\u00be": "3/4", "\u2153": "1/3", "\u2154": "2/3",
    "\N{SOFT HYPHEN}": "-", "\x80": "$",
}  # fmt: skip
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&nbsp;": " ", "&quot;": '"', "&apos;": "'", "&[mn]dash;": "--"}

_LETTER = (
    "A-Za-z\u00aa\u00b5\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u037d\u037f-\u0383\u0386\u0388-\u0481\u0483-\u0487\u048a-\u0559\u0560-\u0588\u0591-\u05bd\u05bf"
    "\u05d0-\u05f2\u0620-\u065e\u066e-\u06d3\u06d5-\u06ef\u06fa-\u06ff\u070f-\u07ea\u0900-\u0963\u0971-\u09e3\u0a01-\u0a65"
    "\u0a81-\u0ae5\u0b01-\u0be5\u0c01-\u0d65\u0d82-\u0e3e\u0e40-\u0e4e\u0e81-\u0ecf\u1e00-\u1fff\u3041-\u318e"
    "\u3400-\u9fff\uac00-\ud7a3\ufb00-\ufb06\uff21-\uff3a\uff41-\uff5a\uff66-\uff9f"
)
_ABBREVIATIONS = """
    adj adm adv al ala alex apr ariz assn assoc asst atty aug ave bhd bldg blvd brig bros calif capt cf cie co col
    colo conn corp cos cpl ct dak dec dept det dr drs ens esq est etc ext feb fla fri ft ga gen gov hon inc ind jan
    jos jr jul jun kan kans ky lt ltd maj mar md messrs mfg mich minn mlle mme mo mon mont mr mrs ms mt mtg natl neb
    nev nov oct okla penn pfc ph plc pres prof profs pte pty pvt rd rep reps rev rt sen sep sept seq sfc sgt spc sq
    sr st ste sys tel thu thurs treas tue tues univ va vs vt wed wis wm wyo
"""
_STATES = "ark az del ill la mass miss ore pa tex wash"  # shortened only with a capital: "Miss." but "a near miss."
_BEFORE_NUMBERS = "art ca fig figs no nos op pp prop"  # shortened only before a number: "no. 5"
_IN_TWO = {
    word.replace("|", ""): tuple(word.split("|"))
    for word in ("can|not", "gon|na", "got|ta", "wan|na", "gim|me", "lem|me")
}

_PARENTHESES = {"(": "-lrb-", ")": "-rrb-"}
_SHORT_FORMS = ("\u2019s", "\u2019d", "\u2019m", "\u2019ll", "\u2019re", "\u2019ve", "n\u2019t")
_QUOTES = frozenset(
    "\"'`\u2018\u2019\u201b\u201c\u201d\u00ab\u00bb\u2039\u203a\u2026\u2013\u2014\u2015\x91\x92\x93\x94\x96\x97"
)
"""Signs that the original writes as quotes, dots or dashes, which are dropped."""


def tokenise_caption(caption: str) -> list[str]:
    """Cut a caption into lower-case tokens without punctuation, as CIDEr is computed on.

    Contractions are two tokens (``do n't``), hyphenated words one, numbers keep their commas and periods, known
    abbreviations and single letters keep their period, brackets are spelt out (``-lrb-``), characters that the
    original cannot read (emoji) are dropped.

    Differences from the original, all rare in captions: newlines of every kind are spaces (the original counts all but
    "\\n" as the end of a caption and then shifts all later captions by one); of rare scripts, web addresses, mark-up
    and smileys only the common forms are known; a telephone number in brackets and a file name that begins with a
    digit are no single tokens; a soft hyphen is always dropped.

    Example:
        >>> tokenise_caption("A man isn't riding his t-shirt-red bike, at 9:30.")
        ['a', 'man', 'is', "n't", 'riding', 'his', 't-shirt-red', 'bike', 'at', '9:30']
    """
    text = " ".join(caption.replace("\N{SOFT HYPHEN}", "").split())
    if "&" in text:
        for entity, character in _ENTITIES.items():
            text = re.sub(entity, character, text, flags=re.IGNORECASE)
    tokens: list[str] = []
    for found in _pattern().findall(text):
        if found.isalpha() and found.isascii():
            token = found.lower()
            tokens.extend(_IN_TWO.get(token, (token,)))
        elif (token := _written(found)) not in _DROPPED:
            # Few tokens hold a space (mixed numbers, mark-up); the evaluator cuts them there before it counts.
            tokens.extend(token.split())
    return tokens


def _written(token: str) -> str:
    """A token as it is written out: lower case, plain apostrophes, brackets and some signs in letters."""
    token = token.lower()
    if token in _QUOTES or token in ("---", "----") or not token.strip("."):
        return "."  # one of those that are dropped
    if token.endswith(_SHORT_FORMS):
        return token.replace("\u2019", "'")
    # Brackets in smileys stay, parentheses do not.
    written = _WRITTEN_OUT if len(token) == 1 else _PARENTHESES
    return "".join(written.get(character, character) for character in token)


@cache
def _pattern() -> re.Pattern[str]:
    """The pattern of one token; where several forms fit, the first listed is the one that the original prefers."""
    letter, word, no_word = f"[{_LETTER}]", rf"[{_LETTER}\d]", rf"(?![{_LETTER}\d])"
    listed = "|".join(_ABBREVIATIONS.split())
    numbered = "|".join(_BEFORE_NUMBERS.split())
    states = "|".join(f"[{name[0]}{name[0].upper()}]{name[1:]}" for name in _STATES.split())
    forms = [
        # most words, for speed; what follows shows that no longer form can begin here
        r"[A-Za-z]{2,}(?=[ ,])",
        # mark-up, web addresses, mail, tags of social media
        r"</?[A-Za-z!?][A-Za-z0-9:_.-]*(?: +[A-Za-z][\w:.-]*(?: *= *(?:\"[^\"]*\"|'[^']*'))?)* ?[/?]?>",
        r"(?i:https?://[^\s\"<>|()]+\.[^\s\"<>|()]*[^\s\"<>|().,!?;:'-])",
        r"(?i:(?:[a-z0-9-]{2,}\.)+(?:com|net|org|edu)/[^\s\"<>|()]*[^\s\"<>|().,!?;:'-])",
        rf"{word}[\w.-]*@{word}[\w-]*(?:\.{word}[\w-]*)*|@[A-Za-z_]\w*|\#{letter}+",
        # smileys
        rf"[<>]?[:;=][-']?[()DPdpO@\[\]{{\\]{no_word}|=\]|[\^x=~<>'-]_[\^x=~<>'-]",
        r"''|\.{3,}",
        # numbers: mixed, measured (1.5-inch), with separators; 2 1/2-inch is four tokens
        r"\d{1,4}[- ]\d{1,4}/\d{1,4}",
        rf"\d+(?:[.,]\d+)+(?:-{word}+)+|[-+]?\d*(?:[.,:]\d+)+|[-+]\d+",
        # n't, what follows an apostrophe, and short forms that begin with one
        rf"(?i:n['\u2019`]t{no_word}|['\u2019](?:s|d|m|ll|re|ve)(?!{letter})|\u2019(?:s|d|m|ll|re|ve))",
        rf"(?i:['\u2019](?:em|till?|cause)|'n'|['\u2019]n{no_word}|y['\u2019](?={letter})|'t(?=(?:is|was){no_word}))",
        rf"['\u2019](?:[1-9]0[sS]|\d\d(?![{_LETTER}\d'\u2019%]))",
        # single letters and abbreviations with their periods
        rf"(?i:ph\.d\.)|(?:{letter}\.)+(?:-{word}+)+|(?:{word}+-)+(?:{letter}\.){{2,}}{no_word}",
        rf"{letter}(?:\.{letter}{no_word})*\.(?!{letter})|(?:{states})\.(?!{letter})",
        rf"(?i:(?:{listed}|{numbered})\.(?:-{word}+)+|(?:{listed})\.(?!{letter})|(?:{numbered})\.(?= ?\d|[,;:]))",
        # words: with periods, marks or & inside; before a currency sign and n't
        rf"{letter}{word}*(?:\.{letter}{word}*)+(?:-{word}+)*|{letter}+(?:[!?]{letter}{word}*)+|[A-Z]+(?:&[A-Z]+)+",
        rf"[A-Z]{{1,3}}\$|{letter}+?(?=[nN]['\u2019`][tT])",
        # words with apostrophes: o'clock, ma'am; with slashes; all others
        rf"(?:{word}+-)*[dlnoDLNO]['\u2019]{letter}{{2,}}(?:[-_]{word}+)*|ol'{no_word}|(?i:cap'n|s'mores){no_word}",
        rf"(?i:{letter}*[aeiou]['\u2019](?!em{no_word})[aeiou]{letter}*(?!['\u2019]))",
        r"[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}(?:/[A-Za-z0-9]+(?:-[A-Za-z]+){0,2})+",
        rf"{word}+(?:[-\u2010\u2011_]{word}+)*",
        # runs of one sign, and every other sign that is kept
        r"-{2,}|[!?]{2,}|_{2,}|\*{2,}|\#{2,}|@{2,}|<<|>>",
        r"[!-~\u00a1-\u00bf\u00d7\u00f7\x80\x91-\x94\x96\x97\u2013-\u2023\u2026\u2030-\u203b\u203e-\u2042\u2044]",
        r"[\u2070-\u208e\u20a0\u20a4\u20ac\u2100-\u214f\u2153-\u215e\u2190-\u2bff\u3001\u3002\u3012]",
    ]
    return re.compile(rf" ?({'|'.join(f'(?:{form})' for form in forms)})")
