"""Build a model of a published size without its weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

from hificl.backbones.family import Family
from hificl.errors import InputError


def build_on_meta(family: Family) -> PreTrainedModel:
    """The model of ``family.geometry`` on the meta device: every shape, no memory.

    Raises:
        InputError: the family has no fixed geometry.
    """
    if not family.geometry:
        raise InputError(f"family {family.name!r} has no fixed geometry; load a checkpoint instead.")
    values = copy.deepcopy(_plain(family.geometry))
    config = AutoConfig.for_model(values.pop("model_type"), **values)
    reads_images = type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
    with torch.device("meta"):
        auto_class = AutoModelForImageTextToText if reads_images else AutoModelForCausalLM
        model: PreTrainedModel = auto_class.from_config(config)
    return model.requires_grad_(False).eval()


def _plain(value: Any) -> Any:
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, Mapping) else value
