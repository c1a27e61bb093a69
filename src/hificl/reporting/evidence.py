"""What records say about a number: whether it still stands there, and what it was measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hificl.errors import InputError
from hificl.records import read_json

CLOSE = 1e-9
"""Scores are copied from records, so they differ by nothing but their way through JSON."""


@dataclass(frozen=True)
class Conditions:
    """Under which conditions a record was made."""

    environment: Mapping[str, Any]
    host: Mapping[str, Any]
    date: str | None


@dataclass(frozen=True)
class _Told:
    scores: Mapping[str, float | None]
    scale: float | None
    revision: str | None
    conditions: Conditions


class Evidence:
    """Records, each read once; of each only what a report needs is kept."""

    def __init__(self) -> None:
        self._told: dict[Path, _Told | str] = {}

    def objection(
        self, record: Path, subset: str, score: float | None, revision: str | None, control: str | None = None
    ) -> str | None:
        """Say why a score of a summary does not stand in its record; None where it does.

        The record of a control is about a backbone that was made from that of the summary, and says so.
        """
        told = self._read(record)
        if isinstance(told, str):
            return told
        made = told.revision if control is None else (told.revision or "").partition(f"+{control}:")[0]
        if revision is not None and told.revision is not None and made != revision:
            return f"the record is about revision {told.revision} of the backbone, the summary about {revision}"
        there = told.scores.get(subset)
        if (there is None) != (score is None) or (score is not None and abs((there or 0.0) - score) > CLOSE):
            return f"the record says {there}, the summary {score}; draw the summary again"
        return None

    def scale(self, record: Path) -> float | None:
        """Scale of the scores of a record; None where it is not known."""
        told = self._read(record)
        return None if isinstance(told, str) else told.scale

    def conditions(self) -> list[Conditions]:
        """Conditions of every record that was read, in the order of their paths."""
        return [told.conditions for _, told in sorted(self._told.items()) if not isinstance(told, str)]

    def note(self, record: Path) -> None:
        """Read a record for its conditions alone."""
        self._read(record)

    def _read(self, record: Path) -> _Told | str:
        if record not in self._told:
            self._told[record] = _look(record)
        return self._told[record]


def _look(record: Path) -> _Told | str:
    if not record.is_file():
        return "its record is not there"
    try:
        content = read_json(record)
        results, config, volatile = content.get("results", {}), content.get("config", {}), content.get("volatile", {})
        return _Told(
            {name: one["score"] for name, one in results.get("subsets", {}).items()},
            results.get("scale"),
            config.get("revision"),
            Conditions(content.get("environment", {}), volatile.get("host", {}), volatile.get("date")),
        )
    except (InputError, AttributeError, KeyError, TypeError) as error:
        return f"its record cannot be read ({error})"
