"""Queries that read behind a context in the frozen model, taken where attention takes place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from peft import PeftModel
from torch import Tensor

from hificl.adapters.stored import new_adapter
from hificl.attention.kernels import wide
from hificl.backbones import Backbone, Encoded, collate
from hificl.backbones.arguments import sparing
from hificl.context.capture import Captured
from hificl.context.compression import Asked
from hificl.context.written import write_whole
from hificl.tuner import HiFICLConfig, HiFICLLayer, find_sites
from hificl.tuner.observed import AttentionCall, observed
from hificl.tuner.sidecar import sidecars

MOST_ROWS = 1024
"""Queries of one head that are kept: of every example those of its answer, and others spread evenly over the rest."""
BATCH = 8
"""Examples of one forward."""


@dataclass(frozen=True)
class Questions:
    """The queries of one module, of all its query heads."""

    query: Tensor
    """[heads queries head_dim], float32 or float64, as all of them."""

    real_mass: Tensor
    """[heads queries], the log-sum-exp of the scores of the keys that the prompt itself has."""

    real_output: Tensor
    """[heads queries value_dim], attention to these alone."""

    scale: float

    def of_heads(self, heads: int) -> Asked:
        """Return the queries for so many heads: those of all query heads that share one stand behind one another."""
        query, mass, output = (
            part.reshape(heads, -1, *part.shape[2:]).double() for part in (self.query, self.real_mass, self.real_output)
        )
        return Asked(query, mass, output, self.scale)


def full_adapter(backbone: Backbone, captured: Captured) -> PeftModel:
    """Return the frozen model with every captured pair in place, on a module tree of its own."""
    sites = find_sites(backbone.model)
    shared = all(keys.shape[0] == sites[name].kv_heads for name, keys in captured.keys.items())
    config = HiFICLConfig(
        num_virtual_tokens=captured.tokens,
        factorize_key=False,
        factorize_value=False,
        share="kv" if shared else "query",
        init_score_offset=captured.score_offset,
    )
    model = new_adapter(backbone, config).eval()
    write_whole(model, captured)
    return model


@torch.no_grad()
def ask(model: PeftModel, backbone: Backbone, encoded: Sequence[Encoded]) -> dict[str, Questions]:
    """Let a model read examples and keep what its attention modules ask, by the modules' names.

    Args:
        model: With the pairs of the whole context.
        backbone: Pads the batches.
        encoded: Examples without opening, with their answers.
    """
    modules = [parent for parent, _, layer in sidecars(model, HiFICLLayer)]
    kept: dict[str, list[Questions]] = {}
    wanted = torch.empty(0)
    most = max(1, MOST_ROWS // len(encoded))

    def see(_: int, call: AttentionCall) -> None:
        output, mass = call.real_attention()
        rows = wanted.to(mass.device)
        query, mass, output = (wide(part.transpose(1, 2)[rows].transpose(0, 1)) for part in (call.query, mass, output))
        kept.setdefault(call.name, []).append(Questions(query, mass, output, call.scale))

    for first in range(0, len(encoded), BATCH):
        batch = collate(backbone, encoded[first : first + BATCH])
        batch.pop("labels", None)
        wanted = torch.zeros_like(batch["attention_mask"], dtype=torch.bool)
        for row, one in enumerate(encoded[first : first + BATCH]):
            wanted[row, _places(one, most) - one.length] = True  # padding stands on the left
        with observed(modules, see):
            inputs = {name: tensor.to(model.device) for name, tensor in batch.items()}
            model(**inputs, **sparing(model.get_base_model(), 1))
    return {name: _together(parts) for name, parts in kept.items()}


def _places(one: Encoded, most: int) -> Tensor:
    """Choose tokens of an example: those that its answer is read at, then others, evenly spread."""
    answer = torch.arange(one.length)[-len(one.answer_ids) - 1 :][-most:]
    others = one.length - len(answer)
    number = min(others, most - len(answer))
    spread = torch.linspace(0, others - 1, number, dtype=torch.float64).round().long() if number else answer[:0]
    return torch.cat([spread, answer])


def _together(parts: Sequence[Questions]) -> Questions:
    query = torch.cat([one.query for one in parts], dim=1)
    mass = torch.cat([one.real_mass for one in parts], dim=1)
    return Questions(query, mass, torch.cat([one.real_output for one in parts], dim=1), parts[0].scale)
