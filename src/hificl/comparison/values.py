"""Hyper-parameters that a search has chosen: package data by model and task, each with the record it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hificl import records
from hificl.backbones import Backbone
from hificl.comparison.variants import Variant
from hificl.errors import InputError

STORED = Path(__file__).with_name("stored_values.json")


@dataclass(frozen=True)
class Values:
    """The values of every method, and where they come from."""

    source: str
    """``"search"``: the one of this comparison. ``"stored"``: package data. ``"defaults"``: nothing was chosen, so that
    the defaults of method, recipe and family hold."""

    chosen: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Options by name of the method; ``shots`` and ``retrieval`` for icl."""

    record: str | None = None
    """The record of the search; None for the defaults."""

    revision: str | None = None
    """Revision of the model that was searched on; None for the defaults."""

    def options(self, variant: Variant, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of a variant: what was chosen for its method, its own, and then the overrides."""
        return {**self.chosen.get(variant.method, {}), **variant.options, **overrides}


def stored_values(backbone: Backbone, task: str, file: Path = STORED) -> Values:
    """Return what comes with the package for a model and a task; the defaults where there is nothing.

    Raises:
        InputError: The file is damaged.
    """
    entry = records.read_json(file).get(backbone.name, {}).get(task)
    if entry is None:
        return Values("defaults")
    return Values("stored", entry["values"], entry["record"], entry["revision"])


def store_values(search: Mapping[str, Any], file: str | Path, *, record: str) -> None:
    """Write what a search has chosen into a file of stored values, beside what is there for other models and tasks.

    Args:
        search: Content of a ``search.json``.
        file: Made if it is missing; ``stored_values.json`` in this package holds what ``compare`` uses.
        record: Where the record of the search is kept, relative to the repository.

    Raises:
        InputError: A method of the search has no result, or ``file`` is damaged.
        RunError: The file could not be written.
    """
    missing = sorted(name for name, found in search["methods"].items() if found["chosen"] is None)
    if missing:
        raise InputError(f"search: no trial of {', '.join(missing)} was finished; run it again, then store its values.")
    path, config = Path(file), search["config"]
    content = records.read_json(path) if path.is_file() else {}
    content.setdefault(config["backbone"], {})[config["task"]] = {
        "revision": config["revision"],
        "values": {name: found["chosen"] for name, found in search["methods"].items()},
        "record": record,
    }
    records.write_json(path, content)
