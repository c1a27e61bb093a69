"""The file of a grid: YAML data alone; unknown keys and values of a wrong kind are refused before anything runs."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import yaml

from hificl.backbones.dtypes import dtype_name
from hificl.comparison.differences import REFERENCE
from hificl.comparison.variants import VARIANTS
from hificl.errors import InputError
from hificl.experiments.grid import TIERS, Block, Grid, Speed, Tier

Made = TypeVar("Made")


def read_grid(path: str | Path) -> Grid:
    """Read a grid.

    Raises:
        InputError: No such file, invalid YAML, an unknown key (nearest name given), or a value of a wrong kind.
    """
    path = Path(path)
    content = _read_yaml(path)
    words = _strict(content, ("title", "artefact", "question", "reference", *TIERS), str(path))
    for name in ("title", "artefact", "question"):
        if not isinstance(words.get(name), str):
            raise InputError(f"{path}: {name} is {words.get(name)!r}; write a text that says it.")
    reference = _reference(words.get("reference", REFERENCE), path)
    tiers = {name: _tier(words[name], f"{path}: {name}") for name in TIERS if name in words}
    if not tiers:
        raise InputError(f"{path}: there is neither {' nor '.join(TIERS)}, so nothing to run; add one.")
    texts = {name: " ".join(words[name].split()) for name in ("title", "artefact", "question")}
    return Grid(path.stem, tiers=tiers, command=_command(path), reference=reference, **texts)


def seed_list(value: Any, place: str) -> tuple[int, ...]:
    """Return seeds from their number or from a list of them.

    Raises:
        InputError: It is neither, or none.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 1:
            raise InputError(f"{place} is {value}; give their number, 1 or more, or a list of seeds.")
        return tuple(range(value))
    return _list_of(int, value, place)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the nearest known one, or all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(names)}."


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(f"{path}: no grid can be read here ({reason}); give a YAML file like main.yaml.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise InputError(f"{place}: invalid YAML ({getattr(error, 'problem', error)}); correct the line.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: a grid is a mapping with title, artefact, question and cells; see grids/main.yaml.")
    return content


def _reference(value: Any, path: Path) -> str:
    """The variant that others are tested against."""
    if not isinstance(value, str) or value not in VARIANTS:
        raise InputError(f"{path}: reference: unknown method {value!r}{nearest(str(value), VARIANTS)}")
    return value


def _command(path: Path) -> str:
    """The first line of the opening comment."""
    first = path.read_text(encoding="utf-8").splitlines()[:1]
    return first[0].lstrip("# ").strip() if first and first[0].startswith("#") else ""


def _strict(value: Any, known: Iterable[str], place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{place}: expected names with values and found {value!r}; see grids/main.yaml.")
    for name in value:
        if name not in set(known):
            raise InputError(f"{place}: unknown key {name!r}{nearest(str(name), known)}")
    return value


def _tier(value: Any, place: str) -> Tier:
    words = _strict(value, [one.name for one in fields(Tier)], place)
    cells = tuple(
        _made(Block, _BLOCK, one, f"{place}: cells[{position}]") for position, one in enumerate(words.get("cells", []))
    )
    speed = tuple(
        _made(Speed, _SPEED, one, f"{place}: speed[{position}]") for position, one in enumerate(words.get("speed", []))
    )
    for position, block in enumerate(cells):
        for name in ("tasks", "variants"):
            if not getattr(block, name):
                raise InputError(f"{place}: cells[{position}] has no {name}; name one or more.")
    tier = _made(Tier, _TIER, {name: words[name] for name in words if name in _TIER}, place, cells=cells, speed=speed)
    if cells and not tier.models and not all(block.models for block in cells):
        raise InputError(f"{place}: there are no models; name one or more.")
    return tier


def _made(
    kind: type[Made], readers: Mapping[str, Callable[[Any, str], Any]], value: Any, place: str, **known: Any
) -> Made:
    """Make a dataclass of the values in a mapping."""
    words = _strict(value, readers, place)
    return kind(**{name: readers[name](item, f"{place}: {name}") for name, item in words.items()}, **known)


def _list_of(kind: type | tuple[type, ...], value: Any, place: str) -> tuple[Any, ...]:
    found = tuple(value) if isinstance(value, list) else (value,)
    for item in found:
        if not isinstance(item, kind) or (isinstance(item, bool) and kind is int):
            raise InputError(f"{place} holds {item!r} ({type(item).__name__}); correct it.")
    return found


def _texts(value: Any, place: str) -> tuple[str, ...]:
    return _list_of(str, value, place)


def _texts_or_none(value: Any, place: str) -> tuple[str | None, ...]:
    return _list_of((str, type(None)), value, place)


def _numbers(value: Any, place: str) -> tuple[int, ...]:
    return _list_of(int, value, place)


def _axes(value: Any, place: str) -> dict[str, tuple[Any, ...]]:
    if not isinstance(value, Mapping):
        raise InputError(f"{place} is {value!r}; write names with values or lists of values.")
    return {str(name): tuple(item) if isinstance(item, list) else (item,) for name, item in value.items()}


def _one(kind: type) -> Callable[[Any, str], Any]:
    def read(value: Any, place: str) -> Any:
        if not isinstance(value, kind) or isinstance(value, bool):
            raise InputError(f"{place} is {value!r} ({type(value).__name__}); it must be {kind.__name__}.")
        return value

    return read


def _dtype(value: Any, place: str) -> str:
    try:
        return dtype_name(_one(str)(value, place))
    except InputError as error:
        raise InputError(f"{place}: {error}") from error


_TIER = {
    "models": _texts,
    "dtype": _dtype,
    "seeds": seed_list,
    "cpus": _one(int),
    "gpus": lambda value, place: float(value),
}
_SPEED = {"script": _one(str), "sizes": _numbers, "decoders": _texts, "device": _one(str)}
_BLOCK: Mapping[str, Callable[[Any, str], Any]] = {
    "tasks": _texts, "variants": _texts, "measure": _one(str), "models": _texts, "seeds": seed_list,
    "train_size": _numbers, "query_size": _one(int), "shots": _numbers, "control": _texts_or_none,
    "protocol": _texts, "prompt": _one(str), "dtype": _dtype, "options": _axes, "task_options": _axes,
    "measure_options": _one(dict),
}  # fmt: skip
