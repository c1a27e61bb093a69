"""How large an evaluation will be: tokens, memory, and the batch size that follows from them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hificl.backbones import Backbone
from hificl.errors import InputError
from hificl.evaluation.queries import Queries

LARGEST_BATCH = 64
"""Cap of the automatic batch size; larger batches gain little and pad more."""

CPU_BYTES = 2**30
"""Memory that a batch may take on the CPU. A fixed number, so that the same evaluation makes the same batches."""

GPU_SHARE = 0.5
"""Share of a GPU's memory, after the weights, that a batch may take."""


@dataclass(frozen=True)
class Estimate:
    """Size of an evaluation, known before it starts."""

    samples: int
    """Number of queries."""

    prompt_tokens: int
    """Tokens of all prompts together, image places included."""

    longest_prompt: int
    """Tokens of the longest prompt."""

    new_tokens: int
    """Most tokens of one answer."""

    batch_size: int
    """Queries generated together; automatic unless it was given."""

    weight_bytes: int
    """Bytes of the model's parameters."""

    row_bytes: int
    """Bytes that the longest query takes while it is generated: cache, activations of one layer, logits, images."""

    @property
    def peak_bytes(self) -> int:
        """Weights and the largest batch together, in bytes."""
        return self.weight_bytes + self.batch_size * self.row_bytes

    def __str__(self) -> str:
        return (
            f"{self.samples} queries, {self.prompt_tokens} prompt tokens (longest {self.longest_prompt}), at most "
            f"{self.new_tokens} new tokens each, batches of {self.batch_size}, about {self.peak_bytes / 2**20:.0f} MiB"
        )


def estimate_size(
    backbone: Backbone, queries: Queries, *, new_tokens: int, batch_size: int | None, num_beams: int = 1
) -> Estimate:
    """Estimate tokens and memory, and choose the batch size where none is given.

    Args:
        backbone: The model's sizes, dtype and device.
        queries: The encoded prompts.
        new_tokens: Most tokens of one answer.
        batch_size: Queries per batch; None takes as many as fit the memory budget, at most ``LARGEST_BATCH``.
        num_beams: Beams of a query, each with a cache of its own.

    Raises:
        InputError: ``batch_size`` is below 1.
    """
    if batch_size is not None and batch_size < 1:
        raise InputError(f"batch_size is {batch_size}; give 1 or more, or None for an automatic size.")
    longest = max(queries.lengths)
    row = num_beams * _row_bytes(backbone, longest + new_tokens) + max(queries.image_bytes)
    weights = sum(parameter.nbytes for parameter in backbone.model.parameters())
    if batch_size is None:
        batch_size = max(1, min(LARGEST_BATCH, len(queries), _budget(backbone.device, weights) // row))
    return Estimate(len(queries), sum(queries.lengths), longest, new_tokens, batch_size, weights, row)


def _budget(device: torch.device, weights: int) -> int:
    if device.type != "cuda":
        return CPU_BYTES
    total = torch.cuda.get_device_properties(device).total_memory
    return int(GPU_SHARE * max(total - weights, 0))


def _row_bytes(backbone: Backbone, length: int) -> int:
    """Memory of one sequence: key-value cache of all layers, activations of one layer, last logits, score matrix."""
    config = backbone.text_config
    element = backbone.model.dtype.itemsize
    heads = config.num_attention_heads
    kv_heads = getattr(config, "num_key_value_heads", None) or heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    cache = 2 * config.num_hidden_layers * kv_heads * head_dim * length * element
    activations = (4 * config.hidden_size + 3 * config.intermediate_size) * length * element
    logits = 2 * config.vocab_size * 4
    # Only the plain implementation writes the scores of all pairs of tokens; the fused ones need a mask at most.
    eager = getattr(config, "_attn_implementation", None) == "eager"
    scores = length * length * (heads * 4 if eager else 1)
    return int(cache + activations + logits + scores)
