"""Initial weights that already hold an in-context circuit, which training then refines.

A decoder of this size does not find induction by itself within the budget: its loss stays on a plateau for longer than
the whole run. The circuit is the pair of attention layers that copying models end up with: the first brings what stood
before (the picture of a round, the previous token) to the token behind it; the second lets a token attend to those
that carry the same content, and copies them. For pictures this works before the first step; for words it begins weak.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration

GATHER, MATCH_IMAGES, MATCH_TOKENS = 0, 2, 3  # decoder layers
IMAGE_AXIS = 0  # the coordinate of the embeddings that says "a piece of an image"; words keep it at zero


@dataclass(frozen=True)
class Gains:
    """Strengths of the circuit's parts, set by looking at the copying before any training step.

    image: score of a piece of the round's image.  previous: score of the previous token.
    match: scale of matched content.  answer: score of being an answer.
    write: scale of what is brought along, in the unit of an embedding.  copy: scale of a copied token.
    image_mark: size of the image coordinate.
    """

    image: float = 8.0
    previous: float = 32.0
    match: float = 1.2
    answer: float = 10.0
    write: float = 0.12
    copy: float = 0.3
    image_mark: float = 8.0


GAINS = Gains()


def _orthonormal(rows: int, width: int, generator: torch.Generator, avoid: Tensor) -> Tensor:
    """Return `rows` orthonormal rows [rows, width], orthogonal to the rows of `avoid`."""
    draws = torch.randn(rows, width, generator=generator)
    basis = torch.linalg.qr(avoid.T).Q
    return torch.linalg.qr((draws - draws @ basis @ basis.T).T).Q.T.contiguous()


@dataclass(frozen=True)
class Rotations:
    """The rotary angles per token of one head, sorted into what can tell positions and what can ignore them.

    angles: radians per token [head_dim / 2]; component i turns with component i + head_dim / 2.
    """

    angles: Tensor

    def components(self, low: float, high: float) -> list[int]:
        """Return the first components of the pairs whose angle lies between `low` and `high`."""
        return [i for i, angle in enumerate(self.angles.tolist()) if low < angle <= high]

    def with_partners(self, components: list[int]) -> list[int]:
        """Return both components of every pair."""
        return components + [len(self.angles) + i for i in components]

    def looking_back(self, components: list[int], offset: float) -> Tensor:
        """Return a query [head_dim] that meets a key of ones on `components` best `offset` tokens earlier."""
        query = torch.zeros(2 * len(self.angles))
        for i in components:
            query[i] = math.cos(offset * self.angles[i])
            query[len(self.angles) + i] = -math.sin(offset * self.angles[i])
        return query


class InductionStart:
    """Writes the circuit into the attention layers of a decoder.

    mark: token id that stands right before every answer.
    """

    def __init__(self, model: LlavaForConditionalGeneration, mark: int, seed: int) -> None:
        config = model.config.text_config
        self.layers = model.model.language_model.layers
        self.words = model.get_input_embeddings().weight
        self.mark = mark
        self.width, self.heads, self.kv_heads = (
            config.hidden_size,
            config.num_attention_heads,
            config.num_key_value_heads,
        )
        self.head_dim, self.per_kv_head = self.width // self.heads, self.heads // self.kv_heads
        self.rotations = Rotations(model.model.language_model.rotary_emb.inv_freq.float())
        self.generator = torch.Generator().manual_seed(seed)
        self.image_axis = torch.eye(self.width)[IMAGE_AXIS : IMAGE_AXIS + 1]
        self.image_read, self.word_read = self._subspace(), self._subspace()
        self.image_found = self._subspace()
        self.word_found = _orthonormal(
            self.head_dim, self.width, self.generator, torch.cat([self.image_axis, self.image_found])
        )

    def _subspace(self) -> Tensor:
        return _orthonormal(self.head_dim, self.width, self.generator, self.image_axis)

    @torch.no_grad()
    def write(self) -> None:
        """Write the circuit; other weights keep their random start."""
        self.words[:, IMAGE_AXIS] = 0
        self._gather(self.layers[GATHER].self_attn)
        self._match(self.layers[MATCH_IMAGES].self_attn, self.image_found, self.image_found, answers_only=True)
        self._match(self.layers[MATCH_TOKENS].self_attn, self.word_read, self.word_found, answers_only=False)

    def _rows(self, head: int) -> slice:
        return slice(head * self.head_dim, (head + 1) * self.head_dim)

    def _gather(self, attention: nn.Module) -> None:
        """First kv head: the mean of the round's image pieces. Second: the previous token."""
        near, exact = self.rotations.components(0.03, 0.2), self.rotations.components(0.08, 1.0)
        image = math.sqrt(GAINS.image * math.sqrt(self.head_dim) / (len(near) * GAINS.image_mark))
        previous = math.sqrt(GAINS.previous)
        for head in range(self.heads):
            rows, turn = self._rows(head), head % self.per_kv_head
            attention.q_proj.weight[rows] *= 0.1
            if head < self.per_kv_head:  # near and far half of the sixteen pieces
                attention.q_proj.bias[rows] = image * self.rotations.looking_back(near, 4 + 10 * turn)
                attention.o_proj.weight[:, rows] = 1.5 * GAINS.write / self.per_kv_head * self.image_found.T
            else:
                attention.q_proj.bias[rows] = previous * self.rotations.looking_back(exact, 1)
                attention.o_proj.weight[:, rows] = GAINS.write / self.per_kv_head * self.word_found.T
        attention.k_proj.weight *= 0.1
        attention.k_proj.weight[near] = image * self.image_axis.expand(len(near), -1)
        attention.k_proj.bias[[self.head_dim + i for i in exact]] = previous
        attention.v_proj.weight[self._rows(0)] = self.image_read
        attention.v_proj.weight[self._rows(1)] = self.word_read

    def _match(self, attention: nn.Module, asked: Tensor, found: Tensor, *, answers_only: bool) -> None:
        """Attend to tokens whose `found` content equals the query's `asked` content, and copy those tokens.

        Only slowly turning components carry content, so that distance hardly counts. answers_only: tokens behind the
        mark before answers score higher; without it, a query would find itself first.
        """
        still = self.rotations.with_partners(self.rotations.components(0.0, 0.004))
        flag = still.pop() if answers_only else None
        behind_mark = self.word_found.T @ nn.functional.normalize(self.word_read @ self.words[self.mark], dim=0)
        for kv_head in range(self.kv_heads):
            start = min(kv_head * len(still), self.head_dim - len(still))
            part = slice(start, start + len(still))
            copied = self._subspace()
            attention.k_proj.weight[self._rows(kv_head)] = 0
            attention.k_proj.weight[[kv_head * self.head_dim + i for i in still]] = GAINS.match * found[part]
            attention.v_proj.weight[self._rows(kv_head)] = copied
            for head in range(kv_head * self.per_kv_head, (kv_head + 1) * self.per_kv_head):
                attention.q_proj.weight[self._rows(head)] = 0
                attention.q_proj.weight[[head * self.head_dim + i for i in still]] = GAINS.match * asked[part]
                attention.o_proj.weight[:, self._rows(head)] = 2 * GAINS.copy / self.per_kv_head * copied.T
                if flag is not None:
                    attention.q_proj.bias[head * self.head_dim + flag] = GAINS.answer
            if flag is not None:
                attention.k_proj.weight[kv_head * self.head_dim + flag] = behind_mark


@torch.no_grad()
def start_projector(model: LlavaForConditionalGeneration, features: Tensor, seed: int) -> None:
    """Let the projector begin by standardising the tower's features (float [images, tokens, vision width]).

    Without it the mean of all images, which is most of a feature, would be what images have in common.
    """
    generator = torch.Generator().manual_seed(seed)
    projector = model.model.multi_modal_projector
    sample = features[:: max(1, len(features) // 4096)].float().cpu().flatten(0, 1)
    mean, deviation = sample.mean(0), sample.std(0) + 1e-3
    first, second = projector.linear_1, projector.linear_2
    turned = torch.linalg.qr(torch.randn(first.out_features, first.in_features, generator=generator)).Q
    first.weight.copy_(turned / deviation)
    first.bias.copy_(-(turned / deviation) @ mean)
    second.weight.copy_(2 * torch.linalg.qr(torch.randn(second.weight.shape, generator=generator)).Q)
    second.bias.zero_()
    second.weight[IMAGE_AXIS] = 0
    second.bias[IMAGE_AXIS] = GAINS.image_mark
