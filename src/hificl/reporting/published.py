"""Published numbers as data: shown beside ours with their source, never mixed with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hificl.errors import InputError
from hificl.records import read_json

FILE = Path(__file__).with_name("published.json")
MARK = "published, other hardware and data"
"""What stands at every column of such numbers."""


@dataclass(frozen=True)
class Source:
    """Where a number was read."""

    paper: str
    """Short name of the paper."""

    arxiv: str | None
    """Its arXiv id, where known."""

    table: str
    """The table, figure or passage in it."""

    first_hand: bool
    """Whether it was read where its authors published it; False: in a reprint."""

    reprinted_by: str | None
    """Who reprinted it; None where it is first-hand."""

    note: str | None
    """What else a reader must know."""

    @property
    def text(self) -> str:
        """The source in one line, such as ``MimIC (arXiv 2504.08851), main table, as reprinted by Hyper-ICL``."""
        arxiv = f" (arXiv {self.arxiv})" if self.arxiv else ""
        reprint = f", as reprinted by {self.reprinted_by}" if self.reprinted_by else ""
        return f"{self.paper}{arxiv}, {self.table}{reprint}"


@dataclass(frozen=True)
class Published:
    """One number, in the unit that ``units()`` gives for its metric."""

    grid: str
    """The grid of ours that it belongs beside."""

    source: Source
    model: str
    task: str
    method: str
    shots: int
    metric: str
    value: float
    printed: str
    """As it stands in print, where CIDEr may be times 100."""

    interval: tuple[float, float] | None
    """Published interval; None: none was."""

    plus_minus: float | None
    """Published spread; the source does not say whether it is a standard deviation."""

    parameters: int | None
    """Trained parameters, as published (rounded)."""

    note: str | None


def published(file: Path = FILE) -> tuple[Published, ...]:
    """Read all published numbers.

    Raises:
        InputError: The file is damaged, or an entry names a source or a metric that the file does not explain.
    """
    content = read_json(file)
    sources = {name: Source(**fields) for name, fields in content["sources"].items()}
    return tuple(
        _number(entry, sources, content["metrics"], f"{file.name}: number {position}")
        for position, entry in enumerate(content["numbers"])
    )


@cache
def units() -> Mapping[str, str]:
    """Return the unit of every metric of the published numbers."""
    return dict(read_json(FILE)["metrics"])


def _number(
    entry: Mapping[str, Any], sources: Mapping[str, Source], metrics: Mapping[str, str], place: str
) -> Published:
    if entry["source"] not in sources:
        raise InputError(f"{place} has the source {entry['source']!r}, which is not under sources; describe it there.")
    if entry["metric"] not in metrics:
        raise InputError(
            f"{place} has the metric {entry['metric']!r}, which is not under metrics; name its unit there."
        )
    interval = entry.get("interval")
    return Published(
        grid=entry["grid"], source=sources[entry["source"]], model=entry["model"], task=entry["task"],
        method=entry["method"], shots=entry["shots"], metric=entry["metric"], value=float(entry["value"]),
        printed=entry["printed"], interval=None if interval is None else (interval[0], interval[1]),
        plus_minus=entry.get("plus_minus"), parameters=entry.get("parameters"), note=entry.get("note"),
    )  # fmt: skip
