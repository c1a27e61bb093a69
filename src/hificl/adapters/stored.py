"""The adapter folder: written whole or not at all, read without running anything from it."""

from __future__ import annotations

import copy
import os
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from hificl.adapters.shared_weights import with_shared_weights
from hificl.backbones import Backbone
from hificl.backbones.checkpoint import check_safetensors
from hificl.backbones.image_settings import image_settings
from hificl.errors import InputError, RunError
from hificl.records import read_json, write_json
from hificl.tuner import SidecarModel

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
INFORMATION = "hificl.json"
"""File with what PEFT does not store: prompt form, image settings, base revision, task."""


def new_adapter(backbone: Backbone, config: PeftConfig) -> PeftModel:
    """Return an adapter with its initial weights on a module tree of its own; ``backbone.model`` stays as it is.

    Raises:
        InputError: PEFT refuses the config for this model, for example because no module matches its targets.
    """
    base = with_shared_weights(backbone.model)
    # PEFT writes these names into files; a folder on this machine means nothing elsewhere.
    base.name_or_path = backbone.name
    base.config._name_or_path = backbone.name
    config = copy.deepcopy(config)
    config.base_model_name_or_path = backbone.name
    with warnings.catch_warnings():
        # transformers warns when PEFT reads an attribute that transformers has renamed.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        try:
            return get_peft_model(base, config)
        except (ValueError, TypeError) as error:
            if isinstance(error, InputError):
                raise
            kind = getattr(config.peft_type, "value", config.peft_type)
            raise InputError(f"{kind} on {backbone.name}: {error}; change that option of the method.") from error


def attach(backbone: Backbone, config: PeftConfig, tensors: Mapping[str, Tensor], file: Path) -> PeftModel:
    """Return the backbone with a stored adapter, frozen and in evaluation mode.

    Raises:
        InputError: ``tensors``, read from ``file``, do not fit the backbone: missing or extra keys, or other shapes.
    """
    with torch.random.fork_rng():
        model = new_adapter(backbone, _without_geometry(config))
    if not isinstance(model.base_model, SidecarModel):  # it matches names by layer, and refuses by itself
        check_tensors(tensors, get_peft_model_state_dict(model, save_embedding_layers=False), file, backbone.name)
    try:
        set_peft_model_state_dict(model, dict(tensors))
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    model.requires_grad_(False)
    return model.eval()


def _without_geometry(config: PeftConfig) -> PeftConfig:
    """Let PEFT read the sizes of a prefix from the backbone, as it did when it was made: it would believe the file."""
    if not config.is_prompt_learning:
        return config
    config = copy.deepcopy(config)
    for name in ("num_layers", "token_dim", "num_attention_heads", "num_transformer_submodules"):
        setattr(config, name, None)
    return config


def check_tensors(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], file: Path, base: str) -> None:
    """Refuse tensors that are not exactly those expected.

    Raises:
        InputError: with the file, the first key and, for a shape, both shapes.
    """
    for key in sorted(tensors.keys() & expected.keys()):
        if tensors[key].shape != expected[key].shape:
            raise InputError(
                f"{file}: {key} has shape {list(tensors[key].shape)}, {base} needs {list(expected[key].shape)}; "
                "the adapter was trained for another geometry, load it with its own base."
            )
    if missing := sorted(expected.keys() - tensors.keys()):
        raise InputError(
            f"{file}: {len(missing)} of the {len(expected)} tensors for {base} are missing, first {missing[0]}; the "
            "adapter was trained for another base or damaged, copy it again or load it with its own base."
        )
    if extra := sorted(tensors.keys() - expected.keys()):
        raise InputError(
            f"{file}: {len(extra)} tensors have no place in {base}, first {extra[0]}; the adapter was trained for "
            "another base, load it with its own."
        )


def save_adapter(model: PeftModel, folder: Path, card: str, information: Mapping[str, Any]) -> None:
    """Write adapter, config, information and model card, and put the whole folder in place with one rename.

    Raises:
        RunError: It could not be written; nothing half-written is left.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        model.save_pretrained(str(partial), save_embedding_layers=False)
        # PEFT has put a card there that knows neither data nor scores.
        (partial / "README.md").write_text(card, encoding="utf-8")
        write_json(partial / INFORMATION, information)
        for file in partial.iterdir():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(partial, folder)
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"{folder}: the adapter could not be written ({error}); free disk space, then run the same command to "
            "finish from the last checkpoint."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read_config(folder: Path) -> PeftConfig:
    """Read ``adapter_config.json``.

    Raises:
        InputError: It is missing, not JSON, or of a method that is not installed.
    """
    values = read_json(folder / CONFIG)
    if not isinstance(values, dict) or values.get("peft_type") not in PEFT_TYPE_TO_CONFIG_MAPPING:
        kind = values.get("peft_type") if isinstance(values, dict) else None
        raise InputError(
            f"{folder / CONFIG}: peft_type {kind!r} is not a method of the installed peft; install the version that "
            "wrote the adapter."
        )
    try:
        return PEFT_TYPE_TO_CONFIG_MAPPING[values["peft_type"]].from_pretrained(str(folder))
    except (TypeError, ValueError) as error:
        raise InputError(f"{folder / CONFIG}: {error}; copy the adapter again.") from error


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Read the tensors of an adapter, on the CPU.

    Raises:
        InputError: The file is missing, cut off, or not a safetensors file.
    """
    check_safetensors(file)
    try:
        return load_file(str(file))
    except (OSError, SafetensorError) as error:
        raise InputError(f"{file}: could not be read ({error}); copy it again.") from error


def with_image_settings(backbone: Backbone, stored: Mapping[str, Any], folder: Path) -> Backbone:
    """Return the backbone with the image settings of an adapter; warn about those that differ.

    Raises:
        InputError: The image processor does not take the stored settings.
    """
    now = image_settings(backbone)
    different = sorted(name for name in stored.keys() | now.keys() if stored.get(name) != now.get(name))
    if not stored or not different:
        return backbone
    shown = ", ".join(f"{name}: {stored.get(name)!r} then, {now.get(name)!r} now" for name in different)
    warnings.warn(f"{folder}: image settings differ ({shown}); the adapter's are used.", stacklevel=4)
    processor = copy.copy(backbone.processor)
    try:
        processor.image_processor = type(backbone.processor.image_processor).from_dict(dict(stored))
    except (TypeError, ValueError) as error:
        raise InputError(f"{folder / INFORMATION}: image_settings: {error}; copy the adapter again.") from error
    return replace(backbone, processor=processor)
