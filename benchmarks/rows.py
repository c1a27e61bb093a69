"""A row of the table: what was compared with what, the target, and the record that holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.measure import Spread
from hificl import records

RESULTS = Path("results/speed")
"""Where rows are kept, from the root of the checkout."""


@dataclass(frozen=True)
class Target:
    """What a number must be."""

    bound: float
    """The number itself."""

    at_least: bool = False
    """Whether more is better."""

    def met(self, value: float) -> bool:
        """Say whether ``value`` reaches the bound."""
        return value >= self.bound if self.at_least else value <= self.bound


@dataclass(frozen=True)
class Comparison:
    """One number of a measurement, with its target."""

    quantity: str
    """What it is, such as ``time`` or ``peak memory``."""

    subject: str
    """Whose it is."""

    rival: str
    """Against whom; empty for a number that stands alone."""

    value: Spread
    """Median and quartiles."""

    unit: str = "ratio"
    """``ratio`` (subject over rival, unless the quantity says otherwise), ``s``, or ``exponent``."""

    target: Target | None = None
    """None: the number is only reported."""

    note: str = ""
    """Why there is no target here, or what else the reader must know."""

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        return None if self.target is None else self.target.met(self.value.median)


@dataclass(frozen=True)
class Measurement:
    """One setting of one script, measured in one process."""

    row: str
    """Name in the catalogue."""

    settings: Mapping[str, Any]
    """Sizes and options, as JSON values; with row and hardware they identify the record."""

    clock: str
    """How time was taken."""

    comparisons: tuple[Comparison, ...]
    """The numbers."""

    seconds: Mapping[str, Spread] = field(default_factory=dict)
    """Seconds of one call, by rival."""

    peak_bytes: Mapping[str, int] = field(default_factory=dict)
    """Most memory beyond weights and inputs, by rival."""

    flops: Mapping[str, int] = field(default_factory=dict)
    """Floating-point operations of one call, by rival."""

    published: Mapping[str, Any] = field(default_factory=dict)
    """Numbers of the paper that belong beside these, with their source."""

    def record(self) -> dict[str, Any]:
        """Return the record: what identifies it, what is counted, and apart from that what was timed."""
        machine = records.host()
        config = {
            "row": self.row,
            "device": "cpu" if machine["gpu"] is None else "cuda",
            "hardware": machine["gpu"] or machine["cpu"],
            "threads": machine["threads"],
            "clock": self.clock,
            "settings": dict(self.settings),
        }
        return {
            "kind": "speed",
            "config": config,
            "results": {"flops": dict(self.flops), "published": dict(self.published)},
            "environment": records.environment(),
            "volatile": {
                "comparisons": [{**asdict(one), "met": one.met} for one in self.comparisons],
                "timing": {name: asdict(spread) for name, spread in self.seconds.items()},
                "memory": {"peak_bytes": dict(self.peak_bytes)},
                "host": machine,
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        }


def record_path(record: Mapping[str, Any], folder: Path) -> Path:
    """Return where a record belongs: one file per row, setting and hardware; a later run takes its place."""
    config = record["config"]
    return folder / config["row"] / f"{records.content_hash(config)[:16]}.json"


def write_row(record: Mapping[str, Any], folder: Path) -> Path:
    """Write a record into the folder of its row, whole or not at all.

    Raises:
        RunError: The file could not be written.
    """
    path = record_path(record, folder)
    records.write_json(path, record)
    return path


def read_rows(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Read all records below a folder, in the order of their paths.

    Raises:
        InputError: A file is damaged.
    """
    paths = sorted(folder.glob("*/*.json"))
    return [(path, records.read_json(path)) for path in paths]


def ratio_of(ours: float, theirs: float) -> Spread:
    """Return the ratio of two counted numbers, which have no spread."""
    ratio = ours / theirs
    return Spread(ratio, ratio, ratio, 1)
