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
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from hificl.adapters.config_file import CONFIG, UNUSABLE, first_line
from hificl.adapters.frozen_base import READ_STARTS, base_stays, check_options
from hificl.adapters.information import INFORMATION
from hificl.adapters.shared_weights import with_shared_weights, without_weights
from hificl.backbones import Backbone
from hificl.backbones.checkpoint import check_safetensors
from hificl.backbones.image_settings import image_settings
from hificl.errors import InputError, RunError
from hificl.records import write_json
from hificl.tuner import SidecarModel
from hificl.tuner.storage import mark, match_entries

WEIGHTS = "adapter_model.safetensors"


def new_adapter(backbone: Backbone, config: PeftConfig) -> PeftModel:
    """Return an adapter with its initial weights on a module tree of its own; ``backbone.model`` stays as it is.

    Raises:
        InputError: PEFT refuses the config for this model, for example because no module matches its targets; or the
            config would write into the base weights, which every adapter on the backbone shares.
    """
    check_options(config)
    base = with_shared_weights(backbone.model)
    # PEFT writes these names into files; a folder on this machine means nothing elsewhere.
    base.name_or_path = backbone.name
    base.config._name_or_path = backbone.name
    config = copy.deepcopy(config)
    config.base_model_name_or_path = backbone.name
    kind = getattr(config.peft_type, "value", config.peft_type)
    with warnings.catch_warnings(), base_stays(backbone.model, f"{kind} on {backbone.name}"):
        # transformers warns when PEFT reads an attribute that transformers has renamed.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        try:
            return get_peft_model(base, config)
        except (ValueError, TypeError) as error:
            if isinstance(error, InputError):
                raise
            told = first_line(error)
            raise InputError(f"{kind} on {backbone.name}: {told}; change that option of the method.") from error


def attach(backbone: Backbone, config: PeftConfig, tensors: Mapping[str, Tensor], file: Path) -> PeftModel:
    """Return the backbone with a stored adapter, frozen and in evaluation mode.

    Raises:
        InputError: ``tensors``, read from ``file``, do not fit the backbone: missing or extra keys, or other shapes. Or
            the config beside the file cannot be attached, or would write into the base weights.
    """
    config = _as_stored(config)
    try:
        with torch.random.fork_rng():
            _check_sizes(backbone, config, tensors, file)
            model = new_adapter(backbone, config)
    except torch.OutOfMemoryError:
        raise  # nothing is wrong with the file
    except UNUSABLE as error:
        if isinstance(error, InputError) and str(file.parent) in str(error):
            raise
        known = isinstance(error, InputError)
        told = str(error) if known else f"{type(error).__name__}: {first_line(error)}; copy it again."
        raise InputError(f"{file.with_name(CONFIG)}: {told}") from error
    check_tensors(tensors, model, file, backbone.name)
    with base_stays(backbone.model, str(file)):
        set_peft_model_state_dict(model, dict(tensors))
    model.requires_grad_(False)
    return model.eval()


def _as_stored(config: PeftConfig) -> PeftConfig:
    """Take back what mattered only while the adapter was made."""
    config = copy.deepcopy(config)
    if getattr(config, "init_lora_weights", True) in READ_STARTS:
        vars(config)["init_lora_weights"] = True
    if config.is_prompt_learning:
        # PEFT reads these from the backbone, as it did when the adapter was made, but would believe the file.
        for name in ("num_layers", "token_dim", "num_attention_heads", "num_transformer_submodules"):
            setattr(config, name, None)
    return config


def _check_sizes(backbone: Backbone, config: PeftConfig, tensors: Mapping[str, Tensor], file: Path) -> None:
    """Compare shapes where tensors take no memory: a damaged config may ask for more than there is."""
    try:
        with torch.device("meta"):
            model = new_adapter(replace(backbone, model=without_weights(backbone.model)), config)
    except UNUSABLE:
        return  # attaching it for real says why, or succeeds: not every method of PEFT can be made without weights
    check_tensors(tensors, model, file, backbone.name)


def check_tensors(tensors: Mapping[str, Tensor], model: PeftModel, file: Path, base: str) -> None:
    """Refuse tensors that are not exactly those of a new adapter.

    Raises:
        InputError: with the file, the first key and, for a shape, both shapes.
    """
    expected = get_peft_model_state_dict(model, save_embedding_layers=False)
    if isinstance(model.base_model, SidecarModel):  # matched by layer, for the path of a layer may have changed since
        own = mark(model.base_model.tuner_layer_cls.container())
        needed = {key: (key, tensor) for key, tensor in expected.items() if own in key}
        try:
            match_entries(needed, {key: tensor for key, tensor in tensors.items() if own in key}, "default")
        except InputError as error:
            raise InputError(f"{file}: {error}") from error
        tensors = {key: tensor for key, tensor in tensors.items() if own not in key}
        expected = {key: tensor for key, tensor in expected.items() if own not in key}
    for key in sorted(tensors.keys() & expected.keys()):
        if tensors[key].shape != expected[key].shape:
            raise InputError(
                f"{file}: {key} has shape {list(tensors[key].shape)}, {base} needs {list(expected[key].shape)}; "
                "the adapter was trained for another geometry, load it with its own base."
            )
    if missing := sorted(expected.keys() - tensors.keys()):
        raise InputError(
            f"{file}: {len(missing)} of the tensors for {base} are missing, first {missing[0]}; the adapter was "
            "trained for another base or damaged, copy it again or load it with its own base."
        )
    if extra := sorted(tensors.keys() - expected.keys()):
        raise InputError(
            f"{file}: {len(extra)} tensors have no place in an adapter on {base}, first {extra[0]}; the adapter was "
            "trained for another base, load it with its own, or somebody put them there."
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


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Read the tensors of an adapter, on the CPU.

    Raises:
        InputError: The file is missing, cut off, not a safetensors file, or holds a value that is not finite.
    """
    check_safetensors(file)
    try:
        tensors = load_file(str(file))
    except (OSError, SafetensorError) as error:
        raise InputError(f"{file}: could not be read ({error}); copy it again.") from error
    if (key := first_not_finite(tensors)) is not None:
        raise InputError(f"{file}: {key} has values that are not finite; copy the adapter again or train it again.")
    return tensors


def first_not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the name of a tensor with an infinite value or one that is not a number, None without any."""
    for key, tensor in tensors.items():
        comparable = tensor.float() if tensor.is_floating_point() and tensor.itemsize == 1 else tensor
        if not comparable.isfinite().all():
            return key
    return None


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
    except UNUSABLE as error:
        raise InputError(f"{folder / INFORMATION}: base.image_settings: {error}; copy the adapter again.") from error
    return replace(backbone, processor=processor)
