"""The random-LM control: the same eyes, an untrained head.

With good frozen image features, a few hundred examples fit a classifier through almost any network. What an adapter
reaches on this control says how much of a score needs what the text decoder has learned.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from hificl.backbones.backbone import Backbone
from hificl.backbones.folded_head import fold_head
from hificl.errors import InputError

SEED_OFFSET = 7_368_787
"""Added to the seed of a control."""


def random_language_model(backbone: Backbone, seed: int = 0) -> Backbone:
    """Return a backbone with the same vision tower and everything else at its initial random weights.

    Args:
        backbone: The original; it stays as it is, and shares no memory with the control.
        seed: Seed of the weights. The random state of the process is left as it was.

    Returns:
        A backbone of the same name, family, prompt form, dtype and device. Its ``revision`` is the original's with
        ``+random_lm:SEED``, so that nothing trained on it passes for an adapter of the original.

    Raises:
        InputError: The model has no vision tower of its own, so there is nothing that the two could share.
    """
    tower = vision_tower(backbone.model)
    if tower is None:
        kind = type(backbone.model).__name__
        raise InputError(f"{backbone.name}: {kind} names no vision tower; the random-LM control needs an image model.")
    devices = [backbone.device] if backbone.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        # An own stream: models are often made under small seeds, and must not come out again.
        torch.manual_seed(SEED_OFFSET + seed)
        fresh: Any = _untrained(backbone.model)
    target = vision_tower(fresh)
    assert target is not None
    target.load_state_dict(tower.state_dict())
    nn.Module.to(fresh, device=backbone.device, dtype=backbone.model.dtype)
    fresh.requires_grad_(False)
    fresh.eval()
    fold_head(fresh)
    return replace(backbone, model=fresh, revision=f"{backbone.revision}+random_lm:{seed}")


def vision_tower(model: PreTrainedModel) -> nn.Module | None:
    """Return the module that sees the images, without the projector behind it; None for a text-only model."""
    found = model.get_encoder(modality="image")
    inner = getattr(model, "base_model", model)
    return found if isinstance(found, nn.Module) and found is not model and found is not inner else None


def _untrained(model: PreTrainedModel) -> PreTrainedModel:
    """A model of the same class and config with new weights, made on the CPU in float32 whatever it runs on later."""
    fresh = type(model)._from_config(model.config, dtype=torch.float32)
    # The generation settings belong to the checkpoint, not to the config.
    fresh.generation_config = model.generation_config
    return fresh
