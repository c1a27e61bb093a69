"""From a recipe file, the options of the command line and KEY=VALUE words to the settings of a command."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from hificl.errors import InputError

SHORT_NAMES = {"lr": "learning_rate", "n": "num_virtual_tokens", "rank": "r"}
"""Short names that are taken for the full one."""

RECIPE_SUFFIXES = (".yaml", ".yml")

_EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")

Options = TypeVar("Options")


def read_settings(
    kind: type[Options],
    words: Sequence[str] | None,
    given: Mapping[str, Any],
    *,
    takes_overrides: bool = False,
    known: Callable[[Options], Collection[str]] | None = None,
) -> tuple[Options, dict[str, Any]]:
    """Resolve the settings of a command; later ones win: defaults, recipe file, options, KEY=VALUE words.

    Args:
        kind: Dataclass of the command's options; its defaults are theirs.
        words: The positional words: at most one recipe file, first, then KEY=VALUE.
        given: Options of the command line; None stands for one that was not given.
        takes_overrides: Whether other keys are allowed, which the caller checks; else they are refused.
        known: Returns other keys that are right however near they are to an option; asked only where one is near.

    Returns:
        The options, and the other keys.

    Raises:
        InputError: No such file, a word without ``=``, an unknown key (nearest name given) or a value of a wrong type.
    """
    types = {field.name: str(field.type) for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    rest = list(words or ())
    values: dict[str, Any] = {}
    if rest and "=" not in rest[0]:
        values.update(_read_file(Path(rest.pop(0))))
    values.update({name: value for name, value in given.items() if value is not None})
    for word in rest:
        values.update([_parse_word(word, types)])
    options = {name: value for name, value in values.items() if name in types}
    others = {name: value for name, value in values.items() if name not in types}
    for name, value in options.items():
        _check_type(name, value, types[name])
    settings = kind(**options)
    for name in others:
        close = _nearest_option(name, types, takes_overrides)
        if close is not None and (known is None or name not in known(settings)):
            raise InputError(f"unknown key {name!r}{close}")
    return settings, others


def parse_value(word: str) -> tuple[str, Any]:
    """Read a word such as ``seeds=1``; the value is YAML.

    Raises:
        InputError: It has no ``=``, or a value that is no YAML.
    """
    return _parse_word(word, {})


def column_names(pairs: Sequence[str] | None) -> dict[str, str] | None:
    """Read ``--columns FIELD=NAME`` options; None when there is none.

    Raises:
        InputError: One has no ``=``.
    """
    if not pairs:
        return None
    for pair in pairs:
        if "=" not in pair:
            raise InputError(f"--columns {pair}: write FIELD=NAME, such as question=q.")
    return dict(pair.split("=", 1) for pair in pairs)  # type: ignore[misc]


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, or all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(names)}."


def _read_file(path: Path) -> dict[str, Any]:
    if path.suffix.lower() not in RECIPE_SUFFIXES:
        kinds = " or ".join(RECIPE_SUFFIXES)
        raise InputError(f"{str(path)!r}: expected KEY=VALUE, such as seed=1, or a recipe file ({kinds}).")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(
            f"{path}: no recipe file can be read here ({reason}); give a YAML file or KEY=VALUE."
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise InputError(f"{place}: invalid YAML ({getattr(error, 'problem', error)}); correct the line.") from error
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise InputError(f"{path}: a recipe is a list of `name: value` lines; see --print-config for one.")
    return {_full_name(name): _with_exponents(value) for name, value in content.items()}


def _parse_word(word: str, types: Mapping[str, str]) -> tuple[str, Any]:
    name, equals, text = word.partition("=")
    name = _full_name(name)
    if not equals or not name:
        raise InputError(f"{word!r}: expected KEY=VALUE, such as seed=1 (a recipe file comes first).")
    if types.get(name, "").startswith("str"):
        return name, text
    try:
        return name, _with_exponents(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise InputError(f"{word!r}: {text!r} is not a YAML value ({getattr(error, 'problem', error)}).") from error


def _full_name(name: str) -> str:
    name = name.strip().replace("-", "_")
    return SHORT_NAMES.get(name, name)


def _with_exponents(value: Any) -> Any:
    """YAML 1.1 reads 5e-3 as a text; people mean the number."""
    if isinstance(value, str) and _EXPONENT.fullmatch(value):
        return float(value)
    if isinstance(value, list):
        return [_with_exponents(item) for item in value]
    return value


def _check_type(name: str, value: Any, declared: str) -> None:
    """Check a value against the annotation of its field: str, int, bool, list or dict, with or without None."""
    kinds = {"str": str, "int": int, "bool": bool, "list": list, "dict": dict}
    if value is None and "None" in declared:
        return
    wanted = kinds[re.split(r"\W", declared, maxsplit=1)[0]]
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise InputError(f"{name} is {value!r} ({type(value).__name__}); it must be {declared}.")


def _nearest_option(name: str, types: Mapping[str, str], takes_overrides: bool) -> str | None:
    """The end of a message about a key that is no option; None where it may be one of recipe or method."""
    if not takes_overrides:
        return nearest(name, types)
    # Those are checked where they are known; only a slip of an own option is caught here. NAME.FIELD never is one.
    close = [] if "." in name else difflib.get_close_matches(name, types, n=1, cutoff=0.75)
    return f"; did you mean {close[0]!r}?" if close else None
