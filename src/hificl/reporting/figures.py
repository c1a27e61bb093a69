"""What is drawn, as data: the same figure becomes inline SVG, files, a text for those who cannot see, a table."""

from __future__ import annotations

from dataclasses import dataclass

Number = float | None


@dataclass(frozen=True)
class Series:
    """One line, or one row of dots."""

    label: str
    x: tuple[float, ...]
    y: tuple[Number, ...]
    """None is a hole: the line is broken there."""

    low: tuple[Number, ...] = ()
    high: tuple[Number, ...] = ()
    """Ends of the intervals; empty where there are none."""

    key: str = ""
    """Name of the method, which picks colour and mark; the same in every figure."""


@dataclass(frozen=True)
class Reference:
    """A line to compare with: a target, or a method that the axis does not change."""

    value: float
    label: str


@dataclass(frozen=True)
class Lines:
    """Lines over an axis, with bands for the intervals."""

    name: str
    title: str
    description: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    log_x: bool = False
    log_y: bool = False
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True)
class Dot:
    """One row of a dot plot."""

    label: str
    value: Number
    """None is a hole."""

    low: Number = None
    high: Number = None
    key: str = ""
    remark: str = ""
    """What stands in place of a value that is not there."""

    hollow: bool = False
    """Whether its interval is of another kind than that of the others."""


@dataclass(frozen=True)
class Dots:
    """One value a row with its interval, along one axis."""

    name: str
    title: str
    description: str
    x_label: str
    dots: tuple[Dot, ...]
    references: tuple[Reference, ...] = ()
    log_x: bool = False


@dataclass(frozen=True)
class Heat:
    """Values over two axes, as colours and as numbers."""

    name: str
    title: str
    description: str
    x_label: str
    y_label: str
    x_names: tuple[str, ...]
    y_names: tuple[str, ...]
    values: tuple[tuple[Number, ...], ...]
    """[rows][columns]; None is a hole."""

    value_label: str
    digits: int = 2
    ends: tuple[float, float] | None = None
    """Values of the first and the last colour, where maps are to be compared; None: the least and the greatest here."""


Figure = Lines | Dots | Heat
