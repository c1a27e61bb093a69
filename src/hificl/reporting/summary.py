"""The head of a report: what everything below says, in a few sentences, and what is not there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hificl.reporting.document import Hole, Section, Text
from hificl.reporting.found import ORDER, Found
from hificl.reporting.sections import MEASURES

MOST, UNCHOSEN = 12, 2
"""Most sentences of a section in the summary, and of one that does not say itself what matters."""

WITHOUT_FACTS = {"published", "conditions"}


def summary_facts(sections: Sequence[Section]) -> list[tuple[Section, tuple[Text, ...]]]:
    """Return the sentences of the summary by the section that they come from."""
    told = [section for section in sections if section.name not in WITHOUT_FACTS and section.facts]
    return [
        (section, section.short[:MOST] if section.short else section.facts[: MOST if place == 0 else UNCHOSEN])
        for place, section in enumerate(told)
    ]


def absent_grids(found: Found) -> list[str]:
    """Names of the grids of the paper that have no summary here."""
    there = {grid.name for grid in found.grids if grid.kind == "grid"}
    measured = {one.measure for grid in found.grids for one in grid.measurements if one.measure in MEASURES}
    return [name for name in ORDER if name not in there | measured]


def all_holes(found: Found, sections: Sequence[Section]) -> list[Hole]:
    """Every hole of the report."""
    return [*found.problems, *(hole for section in sections for hole in section.holes)]


def holes_sentence(holes: Sequence[Hole]) -> str:
    """Say how many numbers are not there, by kind."""
    counts = Counter(hole.kind for hole in holes)
    if not counts:
        return "Nothing that was planned is missing, failed or stale."
    parts = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    return f"Holes: {parts}. They are shown as holes, with the reason, in the tables and lists below."
