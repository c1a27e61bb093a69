"""Colours and marks: for lines those of Okabe and Ito, which colour-blind people can tell apart; for maps cividis.

On the page a colour is a CSS variable, so that it can be lighter on a dark ground; in files it is the value here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from types import MappingProxyType

INK = "#1c1d1f"
"""Text and axes; on the page the colour of the text around the figure."""

FAINT = "#c9c9c4"
"""Grid lines."""

MUTED = "#6a6d72"
"""Lines to compare with, and methods without a colour of their own."""

PAPER = "#fefefe"
"""The ground."""


@dataclass(frozen=True)
class Look:
    """How a method is drawn."""

    colour: str
    mark: str
    dash: str


_BLUE, _VERMILLION, _GREEN, _PURPLE, _SKY, _ORANGE = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"

_LOOKS = {
    "hificl": Look(_BLUE, "o", "-"),
    "lora": Look(_VERMILLION, "s", "-"),
    "mimic": Look(_GREEN, "^", "-"),
    "prefix_tuning": Look(_PURPLE, "D", "-"),
    "icl": Look(_ORANGE, "v", "--"),
    "live": Look(_SKY, "P", "-"),
    "i2cl": Look(_GREEN, "X", "--"),
    "m2iv": Look(_PURPLE, "<", "--"),
    "task_vector": Look(_SKY, ">", "--"),
    "function_vector": Look(_SKY, "d", ":"),
    "icv": Look(_VERMILLION, "h", "--"),
    "mtv": Look(_VERMILLION, "p", ":"),
    "icl_rices": Look(_ORANGE, "^", ":"),
    "zero_shot": Look(MUTED, "o", "--"),
    "other_demonstrations": Look(MUTED, "s", ":"),
    "plain": Look(MUTED, "s", "--"),
    "control": Look(MUTED, "x", ":"),
    "missed": Look(_VERMILLION, "o", "-"),
}
_SPARE = (
    Look(_SKY, "o", "-"), Look(_ORANGE, "s", "-"), Look(_GREEN, "v", ":"), Look(_PURPLE, "^", ":"),
    Look(_VERMILLION, "D", "-."), Look(_BLUE, "P", "-."),
)  # fmt: skip

VARIABLES = MappingProxyType({
    INK: "currentColor", FAINT: "var(--rule)", MUTED: "var(--muted)", PAPER: "var(--paper)", _BLUE: "var(--blue)",
    _VERMILLION: "var(--vermillion)", _GREEN: "var(--green)", _PURPLE: "var(--purple)", _SKY: "var(--sky)",
    _ORANGE: "var(--orange)",
})  # fmt: skip
"""CSS value of each colour on the page."""


def looks(keys: list[str]) -> list[Look]:
    """Return how the lines of one figure are drawn: known methods as everywhere, no two alike.

    Others take the spare look whose colour the fewest lines of the figure have.
    """
    known = [_LOOKS[key].colour for key in keys if key in _LOOKS]
    found: list[Look] = []
    for key in keys:
        look = _LOOKS.get(key)
        if look is None or look in found:
            colours = Counter([*known, *(one.colour for one in found)])
            spares = (spare for spare in _SPARE if spare not in found)
            look = min(spares, key=lambda spare: colours[spare.colour], default=Look(MUTED, "x", ":"))
        found.append(look)
    return found
