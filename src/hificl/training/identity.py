"""What decides the result of a run, as JSON: two runs with the same identity give the same bits."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig
from PIL import Image
from torch import nn

from hificl.backbones import Backbone
from hificl.backbones.image_settings import image_settings
from hificl.data import Example, ImageCell, ImageSource
from hificl.records import content_hash
from hificl.training.recipes import Recipe
from hificl.training.request import Request

SAMPLED_VALUES = 16
"""Values of each base tensor that enter its fingerprint."""

ADDED = (
    "group_by_length",
    "gradient_checkpointing",
    "compile",
    "left_learning_rate",
    "offset_learning_rate",
    "average",
    "least_steps",
)
"""Fields of the recipe that no run had at first. With its default value such a field changes nothing, and is left out:
a run from before is the same run."""

ADDED_TO_CONFIG = ("learn_temperature", "init_key_scale", "pair_dropout")
"""Likewise fields of a method's config."""

START = ("init", "init_shots", "init_captures")
"""Fields of a config that mean nothing where the start is a random one."""


def run_identity(
    backbone: Backbone,
    examples: Sequence[Example],
    request: Request,
    *,
    seed: int,
    processes: int,
    task: str | None,
    source: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the identity of a run as JSON values; ``source`` is a part of it where it is known."""
    return {
        "task": task,
        "method": request.method,
        "peft": peft_values(request.config),
        "recipe": _recipe_values(request),
        "seed": seed,
        "processes": processes,
        "backbone": {"name": backbone.name, "revision": backbone.revision, **backbone_values(backbone)},
        "data": {"examples": len(examples), "hash": content_hash([_example_values(example) for example in examples])},
        **({"source": dict(source)} if source is not None else {}),
    }


def _recipe_values(request: Request) -> dict[str, Any]:
    plain = asdict(Recipe())
    values = request.recipe_values.items()
    told = {name: value for name, value in values if name not in ADDED or value != plain[name]}
    # What `average` means for the learning rate: a run that was begun with another meaning is another run.
    return told | ({"schedule": "constant"} if request.recipe.average else {})


def backbone_values(backbone: Backbone) -> dict[str, Any]:
    """Return what decides the answers of a backbone beside its name and revision, as JSON values."""
    return {
        "prompt": backbone.prompt.to_dict(),
        "image_settings": image_settings(backbone),
        "weights": weights_fingerprint(backbone.model),
        "device": backbone.device.type,
        "dtype": str(backbone.model.dtype).removeprefix("torch."),
    }


def peft_values(config: PeftConfig) -> dict[str, Any]:
    """Return the fields of a PEFT config as JSON values; what PEFT fills in while it attaches is left out."""
    idle = set(START) if getattr(config, "init", "random") == "random" else set()
    idle |= {name for name in ADDED_TO_CONFIG if getattr(config, name, None) == getattr(type(config), name, None)}
    return {name: value for name, value in config_values(config).items() if name not in idle}


def config_values(config: PeftConfig) -> dict[str, Any]:
    """Return every field of a PEFT config that somebody can set, as JSON values."""
    later = ("base_model_name_or_path", "revision", "auto_mapping", "peft_version")
    values = {name: value for name, value in config.to_dict().items() if name not in later}
    plain = json.loads(json.dumps(values, default=_plain_value))
    return dict(sorted(plain.items()))


def weights_fingerprint(model: nn.Module) -> str:
    """Return a short hash over name, shape, dtype and a few spread values of every base tensor."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        if tensor.numel():
            places = torch.linspace(0, tensor.numel() - 1, SAMPLED_VALUES, dtype=torch.float64).long().to(tensor.device)
            values = tensor.detach().reshape(-1)[places].cpu()
            digest.update(values.double().numpy().tobytes())
    return digest.hexdigest()[:16]


def _example_values(example: Example) -> dict[str, Any]:
    return {
        "id": example.id,
        "question": example.question,
        "answer": example.answers[0],
        "images": [image_hash(image) for image in example.images],
    }


def image_hash(image: ImageSource) -> str:
    """Return a hash of the bytes of an image, wherever they are kept."""
    if isinstance(image, ImageCell):
        return content_hash(image.read())
    if isinstance(image, Image.Image):
        buffer = io.BytesIO()
        image.save(buffer, format="PNG")
        return content_hash(buffer.getvalue())
    return content_hash(image if isinstance(image, bytes) else Path(image))


def _plain_value(value: object) -> Any:
    return sorted(map(str, value)) if isinstance(value, set | frozenset) else str(value)
