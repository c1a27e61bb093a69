"""What curves say: where the reference is highest, what stands beside it, who is ahead of it and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hificl.reporting.document import Text, joined
from hificl.reporting.grid import Grid, Mean
from hificl.reporting.labels import is_different, line_label, score_link
from hificl.reporting.names import REFERENCE, axis_label

Line = dict[float, Mean]
"""Means of one line by their place on the axis."""


@dataclass(frozen=True)
class Said:
    """What the curves of a task say about the reference."""

    first: tuple[Text, ...] = ()
    """Its own course, and what stands beside the axis."""

    lost: tuple[Text, ...] = ()
    """Lines that are ahead of it somewhere."""

    level: tuple[Text, ...] = ()
    """All other lines."""


def curve_facts(grid: Grid, title: str, axis: str, lines: Mapping[str, Line], flat: Sequence[Mean]) -> Said:
    """Say what the lines of a figure show about the reference, or about HiFICL where no line is the reference."""
    own = next((line for line in lines.values() if any(mean.is_reference for mean in line.values())), None) or next(
        (line for line in lines.values() if next(iter(line.values())).method == REFERENCE), None
    )
    if own is None:
        return Said()
    name = next(label for label, line in lines.items() if line is own)
    lost: list[Text] = []
    level: list[Text] = []
    for label, line in lines.items():
        if line is not own and (found := _against(title, axis, name, label, own, line)):
            said, is_ahead = found
            (lost if is_ahead else level).append(said)
    return Said((*_range(grid, title, axis, name, own), *_beside(grid, title, axis, flat)), tuple(lost), tuple(level))


def _beside(grid: Grid, title: str, axis: str, flat: Sequence[Mean]) -> list[Text]:
    """What has no place on the axis, or only one."""
    known = [mean for mean in flat if mean.score is not None]
    if not known:
        return []
    parts: list[Text] = [(f"{line_label(mean, axis)} ", score_link(mean, grid)) for mean in known]
    return [
        (
            f"{title}, beside the axis: ",
            *joined(parts, commas_inside=any("," in line_label(mean, axis) for mean in known)),
            ".",
        )
    ]


def _range(grid: Grid, title: str, axis: str, name: str, line: Line) -> list[Text]:
    """Where a line is highest and lowest, and whether the intervals there lie apart."""
    known = {place: mean for place, mean in line.items() if mean.score is not None}
    if len(known) < 2:
        return [(f"{title}: fewer than two points are finished.",)]
    top = max(known, key=lambda place: known[place].score or 0.0)
    bottom = min(known, key=lambda place: known[place].score or 0.0)
    high, low = known[top], known[bottom]
    start: Text = (
        f"{title}: {name} is highest at {axis_label(axis)} = {top:,g}, ", score_link(high, grid),
        f", and lowest at {bottom:,g}, ", score_link(low, grid),
    )  # fmt: skip
    if (conclusion := _against_default(axis, known)) is not None:
        return [(*start, f"; {conclusion}.")]
    if high.ends is None or low.ends is None:
        return [(*start, ".")]
    return [(*start, f"; the two intervals {'lie apart' if high.ends[0] > low.ends[1] else 'overlap'} (no test).")]


def _against_default(axis: str, line: Line) -> str | None:
    """Which places of a line are told apart from its default; None where the default is not one place among others."""
    defaults = [place for place, mean in line.items() if mean.is_reference]
    if len(defaults) != 1 or any(mean.p_holm is None for place, mean in line.items() if place != defaults[0]):
        return None
    apart = [place for place, mean in line.items() if is_different(mean)]
    return (
        f"told apart from {axis_label(axis)} = {defaults[0]:,g} (paired, Holm): {_places(apart) if apart else 'none'}"
    )


def _against(title: str, axis: str, name: str, label: str, own: Line, other: Line) -> tuple[Text, bool] | None:
    """At which places of the axis the own line, ``name``, lies above, or below, another; and whether that is ahead.

    By the paired test where every place has one, else by the intervals.
    """
    both = [place for place in own if place in other and own[place].ends and other[place].ends]
    both = [place for place in both if own[place].score is not None and other[place].score is not None]
    if not both:
        return None
    if all(own[place].is_reference and other[place].p_holm is not None for place in both):
        return _tested(title, axis, name, label, {place: other[place] for place in both})
    ends = {place: (own[place].ends or (0.0, 0.0), other[place].ends or (0.0, 0.0)) for place in both}
    above = [place for place in both if ends[place][0][0] > ends[place][1][1]]
    below = [place for place in both if ends[place][0][1] < ends[place][1][0]]
    level = [place for place in both if place not in above and place not in below]
    parts = [
        (f"{words} at {_places(places)}",)
        for words, places in (
            ("lies above it", above),
            ("below it" if above else "lies below it", below),
            ("overlaps it", level),
        )
        if places
    ]
    said: Text = (
        f"Beside {label} on {title}, the interval of {name} ",
        *joined(list(parts)),
        f" ({axis_label(axis)}).",
    )
    return said, bool(below)


def _tested(title: str, axis: str, name: str, label: str, other: Line) -> tuple[Text, bool]:
    """At which places of the axis a line is told apart from the reference at the same place."""
    apart = {place: mean.difference or 0.0 for place, mean in other.items() if is_different(mean)}
    ahead, behind = ([place for place in apart if sign * apart[place] < 0] for sign in (1, -1))
    level = [place for place in other if place not in apart]
    parts = [
        (f"{words} {_places(places)}",)
        for words, places in (("ahead at", ahead), ("behind at", behind), ("not told apart at", level))
        if places
    ]
    said: Text = (
        f"Beside {label} on {title}, {name} is ",
        *joined(list(parts)),
        f" ({axis_label(axis)}; paired, Holm).",
    )
    return said, bool(behind)


def _places(places: Sequence[float]) -> str:
    return ", ".join(f"{place:,g}" for place in places)
