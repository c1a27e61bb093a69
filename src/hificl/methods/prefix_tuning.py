"""Prefix tuning: learned keys and values before the real ones, per key-value head (arXiv:2101.00190).

Ours joins the softmax as the pairs of HiFICL do: no position moves and every family generates. PEFT's own is there for
comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from peft import PeftConfig, PrefixTuningConfig, TaskType
from torch import Tensor

from hificl.errors import InputError
from hificl.tuner import HiFICLConfig

if TYPE_CHECKING:
    from hificl.backbones import Backbone

OPTIONS = ("implementation",)
"""Options that are no field of the PEFT config."""

IMPLEMENTATIONS = ("hificl", "peft")

FIXED = {"share": "kv", "factorize_key": False, "factorize_value": False}
"""What makes a prefix of our pairs; with other values it would be HiFICL."""


def peft_config(backbone: Backbone, options: Mapping[str, Any]) -> PeftConfig:
    """Return eight pairs per key-value head, ``2 L n H_kv d`` numbers, with ``options`` on top.

    Args:
        backbone: The model to adapt; PEFT's implementation is tried on it, unless it has no weights.
        options: Fields of the config, and ``implementation``: ``"hificl"`` (default) or ``"peft"``, which puts the
            prefix into the cache, so that every position moves by its length.

    Raises:
        InputError: ``implementation`` is another, an option would make it another method, or PEFT's prefix cannot
            be trained or generate with this backbone.
    """
    values = dict(options)
    implementation = values.pop("implementation", "hificl")
    if implementation not in IMPLEMENTATIONS:
        raise InputError(f"prefix_tuning: implementation={implementation!r} is unknown; choose 'hificl' or 'peft'.")
    if implementation == "peft":
        config = PrefixTuningConfig(**{"task_type": TaskType.CAUSAL_LM, "num_virtual_tokens": 8, **values})
        _check_runs(backbone, config)
        return config
    for name, value in FIXED.items():
        if values.get(name, value) != value:
            raise InputError(
                f"prefix_tuning: {name}={values[name]!r} would be no key-value prefix, whose {name} is {value!r}; "
                "train the method 'hificl' with it."
            )
    return HiFICLConfig(**{**values, **FIXED})


def _check_runs(backbone: Backbone, config: PeftConfig) -> None:
    """Try a forward and two tokens: on some models masks, positions or heads do not fit the prefix in PEFT's cache."""
    if any(parameter.is_meta for parameter in backbone.model.parameters()):
        return
    from transformers import GenerationConfig

    from hificl.adapters.stored import new_adapter

    inputs = trial_batch(backbone)
    two = GenerationConfig(max_new_tokens=2, min_new_tokens=2, do_sample=False, pad_token_id=backbone.pad_id)
    with torch.random.fork_rng():
        model = new_adapter(backbone, config).eval()
    try:
        with torch.no_grad():
            model(**inputs)
            model.generate(**inputs, generation_config=two)
    except (RuntimeError, ValueError, IndexError, TypeError, AttributeError) as error:
        raise InputError(
            f"{backbone.name}: PEFT's prefix tuning cannot run here ({type(error).__name__}: {error}); "
            "use implementation='hificl'."
        ) from error


def trial_batch(backbone: Backbone) -> dict[str, Tensor]:
    """Return two prompts of different length, each with an image where the model reads images."""
    from PIL import Image

    from hificl.backbones import collate, encode
    from hificl.data import Example

    images = [Image.new("RGB", (64, 64))] if backbone.takes_images else []
    asked = [Example(id=str(index), images=images, question="what" + " is" * index, answers=[]) for index in range(2)]
    batch = collate(backbone, [encode(backbone.with_prompt(), one) for one in asked], padding_side="left")
    return {name: tensor.to(backbone.device) for name, tensor in batch.items()}
