"""Count what a method trains and stores on a published geometry, without its weights."""

from __future__ import annotations

import functools
import types
from typing import Any

import torch
from peft import get_peft_model, get_peft_model_state_dict
from transformers import PreTrainedModel

from hificl.backbones import BACKBONES, build_on_meta
from hificl.methods import METHODS


@functools.cache
def geometry(name: str) -> PreTrainedModel:
    return build_on_meta(BACKBONES[name])


@functools.cache
def counts(name: str, method: str, **options: Any) -> tuple[int, int]:
    """Trained and stored numbers of a method on the published geometry of a family."""
    model = geometry(name)
    backbone: Any = types.SimpleNamespace(model=model)
    with torch.device("meta"):
        adapted = get_peft_model(model, METHODS[method].peft_config(backbone, options))
    trained = sum(tensor.numel() for tensor in adapted.parameters() if tensor.requires_grad)
    stored = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    assert all(tensor.is_meta for tensor in stored.values())
    adapted.unload()
    return trained, sum(tensor.numel() for tensor in stored.values())
