"""From the name of a backbone to its files: a folder, a GGUF file or a hub id, checked, with its revision."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.utils.hub import cached_file

from hificl.backbones.checkpoint import check_folder, check_gguf, check_model_type, content_revision
from hificl.backbones.packaged import find_weights
from hificl.backbones.registry import BACKBONES
from hificl.errors import InputError

T = TypeVar("T")

EMBEDDED_FOLDER = Path(__file__).resolve().parent.parent / "embedded"


@dataclass(frozen=True)
class Source:
    """Where config, weights and processor of one backbone are read from."""

    location: str
    """What transformers takes: a folder or a hub id."""

    revision: str
    """Commit of the hub, ``content:`` and a hash of a folder's files, or ``sha256:`` and that of a GGUF file."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """What names the files beside the location."""

    tensors: int | None = None
    """Number of tensors in a GGUF file; None for other sources."""

    @property
    def pinned(self) -> dict[str, Any]:
        """Options of every ``from_pretrained``: the same files each time, and never code from a checkpoint."""
        return {"trust_remote_code": False, **self.options}

    @property
    def is_gguf(self) -> bool:
        """Whether the weights are in a GGUF file."""
        return "gguf_file" in self.options

    @property
    def shown(self) -> str:
        """The file, folder or id, for messages."""
        return str(Path(self.location) / self.options["gguf_file"]) if self.is_gguf else self.location


def find_source(name: str) -> Source:
    """Resolve a name and check the files behind it as far as that is possible without reading the weights.

    Raises:
        InputError: There is nothing of that name, or ``load_backbone`` would have to refuse what there is.
    """
    if name == "embedded":
        return _folder(EMBEDDED_FOLDER)
    path = Path(name).expanduser()
    if path.is_dir():
        return _folder(path)
    if name.endswith(".gguf"):
        return _gguf(path)
    family = BACKBONES.get(name)
    if family is not None and family.packaged is not None:
        return _gguf(find_weights(name, family.packaged))
    if family is not None and family.hub_ids:
        return _hub(family.hub_ids[0])
    looks_local = name.startswith((".", "~", "/")) or name.count("/") > 1 or path.exists()
    if looks_local or not name:
        raise InputError(f"{name!r}: no such model folder; give a folder, a hub id, or the name 'embedded'.")
    return _hub(name)


def read(reader: Callable[[], T], source: str, what: str) -> T:
    """Call ``reader`` and turn what transformers raises for an unreadable checkpoint into an InputError.

    Raises:
        InputError: It could not be read; the message names ``source`` and ``what``.
    """
    try:
        return reader()
    except Exception as error:  # on damaged or foreign files the readers raise almost any kind of exception
        offline = " (the hub is switched off by HF_HUB_OFFLINE)" if os.environ.get("HF_HUB_OFFLINE") == "1" else ""
        raise InputError(
            f"{source}: {what} could not be read{offline}: {type(error).__name__}: {error}. "
            "Check the name, that the folder or cache is complete, and that transformers supports the model "
            "without code of its own."
        ) from error


def _folder(folder: Path) -> Source:
    check_model_type(check_folder(folder), list(CONFIG_MAPPING.keys()), str(folder))
    return Source(str(folder), content_revision(folder))


def _gguf(file: Path) -> Source:
    tensors = check_gguf(file)
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Source(str(file.parent), f"sha256:{digest}", {"gguf_file": file.name}, tensors)


def _hub(name: str) -> Source:
    """Pin to the commit that the hub (or its cache) names now: the folder of a cached file is ``snapshots/COMMIT``.

    Config, weights and processor are then of one commit, also when the hub moves on meanwhile.
    """
    file = read(lambda: cached_file(name, "config.json"), name, "the config")
    folder = Path(str(file)).parent
    if folder.parent.name != "snapshots":
        return Source(name, "unknown")
    return Source(name, folder.name, {"revision": folder.name})
