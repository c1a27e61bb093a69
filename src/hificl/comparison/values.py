"""Hyper-parameters that a search has chosen: package data by model and task, each with the record it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hificl import records
from hificl.backbones import Backbone
from hificl.comparison.variants import RICES, Variant
from hificl.errors import InputError

STORED = Path(__file__).with_name("stored_values.json")


@dataclass(frozen=True)
class Values:
    """The values of every method, and where they come from."""

    source: str
    """``"search"``: the one of this comparison. ``"stored"``: package data. ``"defaults"``: nothing was chosen, so that
    the defaults of method, recipe and family hold."""

    chosen: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Options by name of the method, and by that of a variant where it has other ones, such as those of icl_rices."""

    record: str | None = None
    """The record of the search; for the defaults, that of another revision of the model, else None."""

    revision: str | None = None
    """Revision of the model that was searched on; for the defaults, another one that has stored values, else None."""

    def options(self, variant: Variant, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of a variant: what was chosen for its method, its own, and then the overrides."""
        if not variant.searched:
            return variant.options_with(overrides)
        own = {} if variant.is_plain else self.chosen.get(variant.name, {})
        return {**self.chosen.get(variant.method, {}), **own, **variant.options_with(overrides)}


def stored_values(backbone: Backbone, task: str, file: Path = STORED) -> Values:
    """Return what comes with the package for a model and a task; the defaults where there is nothing.

    What was chosen on another revision of the model is only named: other weights want other values.

    Raises:
        InputError: The file is damaged.
    """
    entry = records.read_json(file).get(backbone.name, {}).get(task)
    if entry is None:
        return Values("defaults")
    if entry["revision"] != backbone.revision:
        return Values("defaults", record=entry["record"], revision=entry["revision"])
    return Values("stored", entry["values"], entry["record"], entry["revision"])


def chosen_values(methods: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what a search has chosen, from the ``methods`` of its record; a method that failed is left out."""
    chosen = {name: dict(found["chosen"]) for name, found in methods.items() if found["chosen"] is not None}
    if (likest := methods.get("icl", {}).get("chosen_rices")) is not None:
        chosen[RICES] = dict(likest)
    return chosen


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
        "values": chosen_values(search["methods"]),
        "record": record,
    }
    records.write_json(path, content)
