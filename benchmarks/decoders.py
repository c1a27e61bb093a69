"""Frozen decoders with random weights: speed does not depend on what a model has learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from hificl.adapters.shared_weights import with_shared_weights
from hificl.backbones import BACKBONES
from hificl.errors import InputError

LONGEST = 16_384
"""Positions that every decoder takes."""

SMALL_VOCABULARY = 1024
"""Vocabulary of slices and small decoders: the head is no part of what an adapter touches."""


def _small(hidden: int, heads: int, kv_heads: int, intermediate: int, layers: int) -> dict[str, Any]:
    return {
        "model_type": "qwen2", "vocab_size": SMALL_VOCABULARY, "hidden_size": hidden, "num_attention_heads": heads,
        "num_key_value_heads": kv_heads, "intermediate_size": intermediate, "num_hidden_layers": layers,
    }  # fmt: skip


def _published(family: str, layers: int | None = None) -> dict[str, Any]:
    """Text config of a published model, whole or its first layers with a small vocabulary."""
    config = {**BACKBONES[family].geometry["text_config"]}
    return config if layers is None else {**config, "num_hidden_layers": layers, "vocab_size": SMALL_VOCABULARY}


DECODERS: Mapping[str, dict[str, Any]] = {
    "tiny": _small(128, 2, 1, 352, 2),
    "small": _small(512, 8, 8, 1408, 3),
    "small-grouped": _small(512, 8, 2, 1408, 3),
    "medium": _small(1024, 16, 4, 2816, 4),
    "llava-interleave-slice": _published("llava-interleave", 1),
    "idefics2-slice": _published("idefics2", 1),
    "llava-interleave": _published("llava-interleave"),
    "idefics2": _published("idefics2"),
}
"""Text configs by name. A slice is one layer of the published size."""


@dataclass(frozen=True)
class Decoder:
    """A frozen decoder and its sizes."""

    name: str
    """Key in ``DECODERS``."""

    model: PreTrainedModel
    """In eval mode, no parameter requires a gradient."""

    @property
    def hidden(self) -> int:
        """Size of a hidden state."""
        return int(self.model.config.hidden_size)

    @property
    def layers(self) -> int:
        """Number of decoder layers."""
        return int(self.model.config.num_hidden_layers)

    @property
    def settings(self) -> dict[str, Any]:
        """What a record says about it."""
        config = self.model.config
        return {
            "decoder": self.name,
            "hidden": self.hidden,
            "layers": self.layers,
            "heads": config.num_attention_heads,
            "kv_heads": config.num_key_value_heads,
            "intermediate": config.intermediate_size,
            "vocabulary": config.vocab_size,
            "dtype": str(self.model.dtype).removeprefix("torch."),
        }

    def tree(self) -> PreTrainedModel:
        """Return a module tree of its own over the same weights, for a rival to change."""
        return with_shared_weights(self.model)

    def tokens(self, batch: int, length: int, seed: int = 1) -> Tensor:
        """Return random token ids [batch length]."""
        generator = torch.Generator().manual_seed(seed)
        ids = torch.randint(3, self.model.config.vocab_size, (batch, length), generator=generator)
        return ids.to(self.model.device)

    def embeddings(self, batch: int, length: int) -> Tensor:
        """Return random input embeddings [batch length hidden] that require a gradient, as behind a projector."""
        torch.manual_seed(2)
        random = torch.randn(batch, length, self.hidden, device=self.model.device, dtype=self.model.dtype)
        return random.requires_grad_()


def build(name: str, device: torch.device, **changes: Any) -> Decoder:
    """Make a decoder: float32 on the CPU, bfloat16 on a GPU.

    Args:
        name: Key in ``DECODERS``.
        device: Where its weights are.
        **changes: Fields of its config.

    Raises:
        InputError: An unknown name.
    """
    if name not in DECODERS:
        raise InputError(f"decoder {name!r} is not known; known are {', '.join(DECODERS)}.")
    values = {**DECODERS[name], "max_position_embeddings": LONGEST, "sliding_window": None, **changes}
    config = AutoConfig.for_model(values.pop("model_type"), **values)
    torch.manual_seed(0)
    with torch.device(device):
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="sdpa")
    return Decoder(name, model.requires_grad_(False).eval())
