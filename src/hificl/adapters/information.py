"""``hificl.json`` of an adapter folder, which holds what PEFT does not store, and ``record.json`` beside the folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hificl.backbones import PromptForm
from hificl.errors import InputError
from hificl.records import read_json

INFORMATION = "hificl.json"


@dataclass(frozen=True)
class TrainedOn:
    """The base that an adapter was trained on, as it was then."""

    name: str
    revision: str
    prompt: PromptForm
    image_settings: Mapping[str, Any] = field(default_factory=dict)
    """Empty for a base that reads no images."""


def read_trained_on(folder: Path) -> TrainedOn | None:
    """Read what an adapter was trained on; None where nobody wrote it down, as in an adapter of plain PEFT.

    Raises:
        InputError: A field is missing or of another type; the message names file and field.
    """
    file = folder / INFORMATION
    base = read_object(file).get("base") if file.is_file() else None
    if base is None:
        return None
    if not isinstance(base, dict):
        raise _damaged(file, "base", base, "an object")
    for name, kind, told in (("name", str, "a text"), ("revision", str, "a text"), ("prompt", dict, "an object")):
        if not isinstance(base.get(name), kind):
            raise _damaged(file, f"base.{name}", base.get(name), told)
    settings = base.get("image_settings", {})
    if not isinstance(settings, dict):
        raise _damaged(file, "base.image_settings", settings, "an object")
    try:
        prompt = PromptForm.from_dict(base["prompt"])
    except InputError as error:
        raise InputError(f"{file}: base.prompt: {error}") from error
    return TrainedOn(base["name"], base["revision"], prompt, settings)


def read_object(file: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
        InputError: It cannot be read, or holds something else.
    """
    values = read_json(file)
    if not isinstance(values, dict):
        raise InputError(f"{file}: it holds a {type(values).__name__} and must hold an object; copy the adapter again.")
    return values


def _damaged(file: Path, name: str, value: object, wanted: str) -> InputError:
    found = "missing" if value is None else f"a {type(value).__name__}"
    return InputError(f"{file}: {name} is {found} and must be {wanted}; copy the adapter again.")
