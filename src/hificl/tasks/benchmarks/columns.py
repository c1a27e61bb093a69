"""The column adapter: which columns of a parquet mirror hold the fields of the official files."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hificl.errors import InputError


@dataclass(frozen=True)
class Columns:
    """Names of columns by official field name; the rows are then read as those of the official files are.

    Args:
        fields: Column of every field that the task cannot do without.
        image: Column of the image or of the list of images; None where ``fields`` name an image file.
        optional: Column of every field that may be missing.
    """

    fields: Mapping[str, str]
    image: str | None = "image"
    optional: Mapping[str, str] = field(default_factory=dict)

    @property
    def known(self) -> set[str]:
        """All fields, ``image`` among them."""
        return {"image", *self.fields, *self.optional}

    def with_names(self, names: Mapping[str, str]) -> Columns:
        """Return the adapter with other column names, by field; a field that is named must be there."""
        named = {key: names.get(key, column) for key, column in self.optional.items() if key in names}
        return replace(
            self,
            fields={key: names.get(key, column) for key, column in self.fields.items()} | named,
            image=names.get("image", self.image),
            optional={key: column for key, column in self.optional.items() if key not in names},
        )

    def missing(self, present: Collection[str]) -> list[str]:
        """Return the needed columns that are not among ``present``."""
        needed = [*self.fields.values(), *([self.image] if self.image else [])]
        return [column for column in needed if column not in present]

    def renamed(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of one row under their official names; other columns are left out."""
        names = {**self.fields, **self.optional}
        return {name: cells[column] for name, column in names.items() if column in cells}


def fitting(
    adapters: tuple[Columns, ...], names: Mapping[str, str] | None, present: Collection[str], file: str
) -> Columns:
    """Return the first adapter whose needed columns are all there.

    Args:
        adapters: The adapters of a task, in order of preference.
        names: Own column names by field.
        present: Columns of the file.
        file: Name of the file, for the message.

    Raises:
        InputError: None fits, or a name is for no field or no text.
    """
    names = names or {}
    known = set[str]().union(*(adapter.known for adapter in adapters))
    for name, column in names.items():
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f" (nearest: {near[0]!r})" if near else ""
            raise InputError(f"columns: unknown field {name!r}{hint}; fields are {', '.join(sorted(known))}")
        if not isinstance(column, str) or not column:
            raise InputError(f"columns: field {name!r} needs the name of a column, got {column!r}")
    adjusted = [adapter.with_names(names) for adapter in adapters if set(names) <= adapter.known]
    for adapter in adjusted:
        if not adapter.missing(present):
            return adapter
    if not adjusted:
        raise InputError(f"columns: no mirror of this task has all of {', '.join(sorted(names))}; name fewer")
    closest = min(adjusted, key=lambda adapter: len(adapter.missing(present)))
    raise InputError(
        f"{file}: no column {', '.join(map(repr, closest.missing(present)))}; the columns are "
        f"{', '.join(map(repr, sorted(present)[:30]))}; name yours with columns={{field: column}}"
    )
