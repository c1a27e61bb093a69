"""Changes of a grid from the command line: values that take the place of its own, and filters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hificl.backbones.dtypes import dtype_name
from hificl.errors import InputError
from hificl.experiments.grid import EMBEDDED, TIERS, Block, Grid, Tier
from hificl.experiments.grid_file import nearest, seed_list

OPTION = "options."
"""Before the name of an option that is set for every method that takes it."""

_LISTS = {"task": "tasks", "variant": "variants", "train_size": "train_size", "shots": "shots", "protocol": "protocol"}
_NUMBERS = ("train_size", "shots", "query_size")
KNOWN = ("tier", "model", "dtype", "seeds", "query_size", "prompt", "root", *_LISTS)


@dataclass(frozen=True)
class Changes:
    """What a caller wants otherwise than the grid says."""

    tier: str = EMBEDDED
    """``embedded`` or ``real``."""

    root: str | None = None
    """Folder with the files of benchmarks, or with one folder per benchmark."""

    values: Mapping[str, Any] = field(default_factory=dict)
    """The others, by name."""

    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values by axis: other cells are left for another time."""

    def apply(self, grid: Grid) -> Tier:
        """Return the tier of a grid with the changes in it.

        Raises:
            InputError: The grid has no such tier.
        """
        if self.tier not in grid.tiers:
            raise InputError(f"{grid.name}: there is no tier {self.tier!r}; it has {', '.join(grid.tiers)}.")
        tier = grid.tiers[self.tier]
        if "model" in self.values:
            tier = replace(tier, models=_listed(self.values["model"]))
        if "dtype" in self.values:
            tier = replace(tier, dtype=dtype_name(self.values["dtype"]))
        if "seeds" in self.values:
            tier = replace(tier, seeds=seed_list(self.values["seeds"], "seeds"))
        return replace(tier, cells=tuple(map(self._changed, tier.cells)))

    def _changed(self, block: Block) -> Block:
        own: dict[str, Any] = {_LISTS[name]: _listed(self.values[name]) for name in _LISTS if name in self.values}
        own |= {name: self.values[name] for name in ("query_size", "prompt") if name in self.values}
        if "model" in self.values:
            own["models"] = None
        if "seeds" in self.values:
            own["seeds"] = None
        if "dtype" in self.values:
            own["dtype"] = None
        if "task" in self.values:
            own["task_options"] = {}
        options = {name.removeprefix(OPTION): _listed(self.values[name]) for name in self.values if OPTION in name}
        return replace(block, **own, options={**block.options, **options})

    def wants(self, point: Mapping[str, Any]) -> bool:
        """Whether the filters let a cell through."""
        return all(str(point.get(name)) in values for name, values in self.only.items())


def read_changes(values: Mapping[str, Any], only: Sequence[str] = ()) -> Changes:
    """Return the changes behind names with values, and behind filters such as ``variant=hificl,lora``.

    Raises:
        InputError: An unknown name (nearest given), a value of a wrong kind, or a filter without ``=``.
    """
    rest = dict(values)
    tier, root = rest.pop("tier", EMBEDDED), rest.pop("root", None)
    if tier not in TIERS:
        raise InputError(f"tier is {tier!r}; it must be {' or '.join(TIERS)}.")
    for name, value in rest.items():
        if not name.startswith(OPTION) and name not in KNOWN:
            hint = nearest(name, [*KNOWN, f"{OPTION}{name}"])
            raise InputError(f"{name!r} is no name of a grid{hint}")
        wanted: Callable[[Any], bool] = _is_number if name in _NUMBERS else lambda one: isinstance(one, str)
        if name != "seeds" and not name.startswith(OPTION) and not all(map(wanted, _listed(value))):
            raise InputError(f"{name} is {value!r}; it must be {'a number' if name in _NUMBERS else 'a name'}.")
    if not isinstance(rest.get("dtype", ""), str):
        raise InputError(f"dtype is {rest['dtype']!r}; give one name.")
    if "query_size" in rest and not _is_number(rest["query_size"]):
        raise InputError(f"query_size is {rest['query_size']!r}; give one number.")
    filters: dict[str, tuple[str, ...]] = {}
    for word in only:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise InputError(f"only {word!r}: write AXIS=VALUE, such as variant=hificl.")
        filters[name] = (*filters.get(name, ()), *text.split(","))
    return Changes(tier, None if root is None else str(root), rest, filters)


def _listed(value: Any) -> tuple[Any, ...]:
    """A list, also one that is written as a text with commas."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(","))
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
