"""Turns episodes into token batches and runs the decoder on cached features of the tower."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from pretrain.architecture import VISUAL_TOKENS
from pretrain.data.scenes import COLORS, SHAPES
from pretrain.episodes import SORTS, Draw, Round
from pretrain.wording import MADE_UP

IGNORED = -100


@dataclass(frozen=True)
class Sample:
    """One sequence. ids: token ids; targets: the ids to predict at their own place, else -100; images: numbers."""

    ids: list[int]
    targets: list[int]
    images: list[int]


@dataclass(frozen=True)
class Batch:
    """Samples padded on the right. ids, targets: int64 [batch, length]; images: int64 [images]."""

    ids: Tensor
    targets: Tensor
    images: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return Batch(self.ids.to(device), self.targets.to(device), self.images.to(device))


class Encoder:
    """Encodes rounds in the prompt form: `<s>`, then `<image> {question} A: {answer}` and a newline per round.

    visual_tokens: tokens per image, 16, or fewer where a stage pools them.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, visual_tokens: int = VISUAL_TOKENS) -> None:
        self.tokenizer, self.visual_tokens = tokenizer, visual_tokens
        self.bos, self.pad = tokenizer.bos_token_id, tokenizer.pad_token_id
        self.image = tokenizer.convert_tokens_to_ids("<image>")
        self.encode = cache(self._encode)
        self.newline = self.encode("\n")[0]

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)

    def round_tokens(self, turn: Round) -> tuple[list[int], list[int]]:
        """Return the ids and the targets of one round."""
        prompt = [self.image] * self.visual_tokens if turn.image is not None else []
        prompt += self.encode(f" {turn.question} A:")
        answer = [*self.encode(f" {turn.answer}"), self.newline]
        targets = answer if turn.learned else [IGNORED] * len(answer)
        return prompt + answer, [IGNORED] * len(prompt) + targets

    def sample(self, draw: Draw, sort: str, length: int) -> Sample:
        """Return an episode of as many whole rounds as fit in `length` tokens, at least one."""
        next_round = SORTS[sort](draw)
        ids, targets, images = [self.bos], [IGNORED], []
        while True:
            turn = next_round()
            more, wanted = self.round_tokens(turn)
            if len(ids) > 1 and len(ids) + len(more) > length:
                return Sample(ids, targets, images)
            ids += more
            targets += wanted
            images += [] if turn.image is None else [turn.image]

    def repeated(self, draw: Draw, length: int) -> Sample:
        """Return random words said over and over; the words count from their second time."""
        words = MADE_UP + COLORS + SHAPES
        count = min(int(draw.rng.integers(3, 17)), length // 3)
        chosen = [self.encode(" " + words[i])[0] for i in draw.rng.permutation(len(words))[:count]]
        ids = (chosen * math.ceil(length / count))[: length - 1]
        targets = [IGNORED] * count + ids[count:]
        return Sample([self.bos, *ids], [IGNORED, *targets], [])

    def collate(self, samples: Sequence[Sample]) -> Batch:
        """Pad samples on the right (causal attention never sees the padding)."""
        length = max(len(sample.ids) for sample in samples)
        ids = [sample.ids + [self.pad] * (length - len(sample.ids)) for sample in samples]
        targets = [sample.targets + [IGNORED] * (length - len(sample.ids)) for sample in samples]
        images = [number for sample in samples for number in sample.images]
        return Batch(torch.tensor(ids), torch.tensor(targets), torch.tensor(images, dtype=torch.int64))


def draw_batch(encoder: Encoder, draw: Draw, mix: Mapping[str, float], tokens: int, lengths: tuple[int, int]) -> Batch:
    """Return about `tokens` tokens of episodes of nearly equal length.

    mix: weight per sort ("repeated words" besides those of SORTS).
    lengths: the shortest and longest sequence; one length per batch, log-uniform between them.
    """
    low, high = (math.log(value) for value in lengths)
    length = int(math.exp(draw.rng.uniform(low, high)))
    sorts, weights = list(mix), np.array(list(mix.values()))
    samples = []
    for _ in range(max(1, tokens // length)):
        sort = str(draw.rng.choice(sorts, p=weights / weights.sum()))
        if sort == "repeated words":
            samples.append(encoder.repeated(draw, length))
        else:
            samples.append(encoder.sample(draw, sort, length))
    return encoder.collate(samples)


def pool_tokens(features: Tensor, visual_tokens: int) -> Tensor:
    """Average [images, 16, width] over square blocks of patches to [images, visual_tokens, width]."""
    images, tokens, width = features.shape
    if tokens == visual_tokens:
        return features
    side, cells = math.isqrt(tokens), math.isqrt(visual_tokens)
    block = side // cells
    blocks = features.view(images, cells, block, cells, block, width)
    return blocks.mean((2, 4)).view(images, visual_tokens, width)


def hidden_states(model: LlavaForConditionalGeneration, batch: Batch, features: Tensor, encoder: Encoder) -> Tensor:
    """Return the decoder's last hidden states [batch, length, width] on cached features [pool, 16, width].

    The batch must lie where model and features do.
    """
    embeddings = model.get_input_embeddings()(batch.ids)
    if len(batch.images):
        tokens = pool_tokens(features[batch.images], encoder.visual_tokens).to(embeddings.dtype)
        visual = model.model.multi_modal_projector(tokens)
        places = (batch.ids == encoder.image).unsqueeze(-1)
        embeddings = embeddings.masked_scatter(places, visual.reshape(-1, visual.shape[-1]))
    output: Tensor = model.model.language_model(inputs_embeds=embeddings, use_cache=False).last_hidden_state
    return output


def answer_loss(model: LlavaForConditionalGeneration, batch: Batch, features: Tensor, encoder: Encoder) -> Tensor:
    """Return the mean cross-entropy over the target tokens, 0 where there are none."""
    batch = batch.to(features.device)
    hidden = hidden_states(model, batch, features, encoder)[:, :-1]
    wanted = batch.targets[:, 1:] != IGNORED
    if not wanted.any():  # a tiny batch may hold nothing that can be known yet
        return hidden.float().sum() * 0
    logits = model.lm_head(hidden[wanted]).float()
    return torch.nn.functional.cross_entropy(logits, batch.targets[:, 1:][wanted])
