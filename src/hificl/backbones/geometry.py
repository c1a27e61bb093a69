"""Build a model of a published or configured size without its weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
)
from transformers.utils.hub import cached_file

from hificl.backbones.checkpoint import check_model_type
from hificl.backbones.family import Family
from hificl.backbones.registry import BACKBONES
from hificl.backbones.source import EMBEDDED_FOLDER, read
from hificl.errors import InputError
from hificl.records import read_json


def build_on_meta(geometry: Family | Mapping[str, Any]) -> PreTrainedModel:
    """The model of a family's geometry, or of a config, on the meta device: every shape, no memory, no weights.

    Args:
        geometry: A family, or what stands in a ``config.json``.

    Raises:
        InputError: The family has no fixed geometry, or transformers cannot build such a model.
    """
    if isinstance(geometry, Family):
        if not geometry.geometry:
            raise InputError(f"family {geometry.name!r} has no fixed geometry; load a checkpoint instead.")
        geometry = geometry.geometry
    values = copy.deepcopy(_plain(geometry))
    kind = values.pop("model_type", None)
    config = read(lambda: CONFIG_MAPPING[kind].from_dict(values), f"model type {kind!r}", "the config")
    auto_class = _auto_class(config)
    with torch.device("meta"):
        model: PreTrainedModel = read(lambda: auto_class.from_config(config), f"model type {kind!r}", "the geometry")
    return model.requires_grad_(False).eval()


def read_geometry(name: str) -> Mapping[str, Any]:
    """The config behind a name, as it stands in ``config.json``; nothing else is needed, neither weights nor processor.

    Args:
        name: A folder with a ``config.json``, ``"embedded"``, a key of ``BACKBONES``, or a hub id that is cached.

    Raises:
        InputError: There is no such folder, no ``config.json``, or a type of model that transformers does not know.
    """
    folder = EMBEDDED_FOLDER if name == "embedded" else Path(name).expanduser()
    if name in BACKBONES and not folder.is_dir():
        if BACKBONES[name].geometry:
            return BACKBONES[name].geometry
        raise InputError(f"family {name!r} has no fixed geometry; give the folder of a checkpoint.")
    file = folder / "config.json"
    if not folder.is_dir():
        file = Path(str(read(lambda: cached_file(name, "config.json"), name, "the config")))
    values = read_json(file)
    if not isinstance(values, Mapping):
        raise InputError(f"{file}: expected a JSON object and found {type(values).__name__}; copy it again.")
    check_model_type(dict(values), list(CONFIG_MAPPING.keys()), str(file.parent))
    return values


def _auto_class(config: PreTrainedConfig) -> Any:
    if type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return AutoModelForImageTextToText
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
        return AutoModelForCausalLM
    raise InputError(
        f"model type {config.model_type!r} neither reads images and text nor continues text; "
        "use an image-text-to-text or a causal language model."
    )


def _plain(value: Any) -> Any:
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, Mapping) else value
