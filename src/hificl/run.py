"""A trained adapter on its backbone, from a finished run or from an adapter folder."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from hificl.adapters.config_file import CONFIG, read_config
from hificl.adapters.information import TrainedOn, read_object, read_trained_on
from hificl.adapters.stored import WEIGHTS, attach, read_tensors, with_image_settings
from hificl.backbones import Backbone, load_backbone
from hificl.backbones.forms import is_own_form
from hificl.errors import InputError


@dataclass(frozen=True)
class Run:
    """A backbone with a trained adapter."""

    model: PeftModel
    """The adapted model, in evaluation mode; it shares its frozen weights with ``backbone.model``."""

    backbone: Backbone
    """The backbone without the adapter, with the prompt form and image settings that the adapter was trained with."""

    path: Path
    """The folder of the run, or of the adapter."""

    record: Mapping[str, Any] = field(default_factory=dict)
    """The record of the training, empty when the adapter came without one."""


def load(
    path: str | os.PathLike[str],
    *,
    backbone: Backbone | None = None,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    attn_implementation: str | None = None,
) -> Run:
    """Load a trained adapter with its base, prompt form and image settings.

    Args:
        path: Folder of a run or of its adapter. Only safetensors and JSON are read.
        backbone: A loaded base to use in place of the one that the adapter names. It stays as it is.
        device: Where to load the base; as for ``load_backbone``.
        dtype: Its dtype; as for ``load_backbone``.
        attn_implementation: Its attention kernel; as for ``load_backbone``.

    Returns:
        The adapted model, ready for ``evaluate``. The prompt form and image settings are those of the adapter.

    Warns:
        UserWarning: The base has another revision, its family now has no such prompt form as the adapter was trained
            with, or other image settings. The message holds both values.

    Raises:
        InputError: No such folder; no ``adapter_config.json``; a truncated file; an adapter for another geometry
            (both shapes shown); missing or extra tensors, or values that are not finite; a field of the wrong type, or
            one that would write into the base. The message names the file and the key or field.
    """
    folder = _adapter_folder(Path(path))
    config = read_config(folder)
    tensors = read_tensors(folder / WEIGHTS)
    base = read_trained_on(folder)
    if backbone is None:
        name = base.name if base else config.base_model_name_or_path
        backbone = _load_base(folder, name, device, dtype, attn_implementation)
    if base is not None:
        backbone = _as_trained(folder, backbone, base)
    model = attach(backbone, config, tensors, folder / WEIGHTS)
    record = folder.parent / "record.json"
    return Run(model=model, backbone=backbone, path=Path(path), record=read_object(record) if record.is_file() else {})


def _adapter_folder(path: Path) -> Path:
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; give the folder of a run or of an adapter.")
    for folder in (path, path / "adapter"):
        if (folder / CONFIG).is_file():
            return folder
    unfinished = (path / "run.json").is_file()
    remedy = "its training is not finished, run it again to go on" if unfinished else "give the folder of an adapter"
    raise InputError(f"{path}: no {CONFIG} here or in {path / 'adapter'}; {remedy}.")


def _load_base(
    folder: Path,
    name: str | None,
    device: str | torch.device | None,
    dtype: str | torch.dtype | None,
    attn_implementation: str | None,
) -> Backbone:
    if not isinstance(name, str) or not name:
        raise InputError(
            f"{folder / CONFIG}: base_model_name_or_path is {name!r} and names no base; load with "
            "backbone=load_backbone(...)."
        )
    return load_backbone(name, device=device, dtype=dtype, attn_implementation=attn_implementation)


def _as_trained(folder: Path, backbone: Backbone, base: TrainedOn) -> Backbone:
    """Warn about what differs from the training, and return the backbone with the adapter's form and settings."""
    if base.revision != backbone.revision:
        warnings.warn(
            f"{folder}: trained on revision {base.revision} of {base.name}, loaded on {backbone.revision} of "
            f"{backbone.name}; scores may differ.",
            stacklevel=3,
        )
    prompt = base.prompt
    both_known = is_own_form(backbone.family, prompt) and is_own_form(backbone.family, backbone.prompt)
    # An adapter that holds the opening is asked without it, whatever the form.
    same_form = replace(prompt, opening=backbone.prompt.opening) == backbone.prompt
    if not same_form and not both_known:
        warnings.warn(
            f"{folder}: trained with prompt form {prompt.to_dict()}, the backbone has {backbone.prompt.to_dict()}; the "
            "adapter's form is used.",
            stacklevel=3,
        )
    if prompt != backbone.prompt:
        backbone = replace(backbone, prompt=prompt)
    return with_image_settings(backbone, base.image_settings, folder)
