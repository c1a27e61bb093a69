"""Tiny random twins of model families: what a law is asserted over.

A twin is a model class of the library with a few layers, odd sizes and seeded weights that are large enough for
attention to be far from uniform, with samples that its processor could have made. The families stand in the
``*_families`` modules; a new entry there joins every law by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import PreTrainedModel

PAD, BEGIN, END = 0, 1, 2
TEXT_IDS = (3, 100)
"""Range of ordinary token ids; the families keep their image marks above it."""
VOCABULARY = 120
MARKS = list(range(TEXT_IDS[1], VOCABULARY))
"""Ids of image marks: never generated, for a model that finds one expects an image to it."""


@dataclass(frozen=True)
class Sample:
    """One prompt: ``tokens`` has one entry per token on axis 0, ``images`` are concatenated along axis 0."""

    tokens: Mapping[str, Tensor]
    images: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Twin:
    """A family: how to build its tiny model and its samples.

    ``kernels``: the attention implementations that the model takes, its usual one first.
    ``own_positions``: the model derives position ids from the attention mask by itself, so none are passed.
    ``first_position``: the position of the first token when the model counts by itself.
    ``text_only``: the model also takes prompts without an image.
    """

    name: str
    construct: Callable[[], PreTrainedModel]
    sample: Callable[[torch.Generator, int], Sample]
    kernels: tuple[str, ...] = ("sdpa", "eager")
    own_positions: bool = False
    first_position: int = 0
    text_only: bool = True

    def build(self, kernel: str | None = None) -> PreTrainedModel:
        """Return the same random model at every call: float32, evaluation mode, never ending a generation early."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = self.construct().float().eval()
        model.set_attn_implementation(kernel or self.kernels[0])
        model.generation_config.update(
            eos_token_id=None, bos_token_id=BEGIN, pad_token_id=PAD, do_sample=False, suppress_tokens=MARKS
        )
        return spread_weights(model, seed=7)

    def samples(self, lengths: Sequence[int], seed: int = 0) -> list[Sample]:
        """Return one sample per number of text tokens."""
        generator = torch.Generator().manual_seed(seed)
        return [self.sample(generator, length) for length in lengths]

    def text_samples(self, lengths: Sequence[int], seed: int = 0) -> list[Sample]:
        """Return prompts without an image."""
        generator = torch.Generator().manual_seed(seed)
        return [Sample({"input_ids": text_ids(generator, length)}) for length in lengths]

    def positions(self, mask: Tensor) -> dict[str, Tensor]:
        """Return the mask-derived ``position_ids`` as a keyword, or nothing where the model makes its own."""
        if self.own_positions:
            return {}
        return {"position_ids": (mask.long().cumsum(-1) - 1).clamp_min(0) + self.first_position}


def spread_weights(model: PreTrainedModel, seed: int) -> PreTrainedModel:
    """Overwrite all weights: matrices with entries of variance 2 / fan-in, vectors moved by 0.2 from where they are."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() >= 2:
                parameter.copy_(noise * (2.0 / parameter.shape[1:].numel()) ** 0.5)
            else:
                parameter.add_(0.2 * noise)
    return model


def text_ids(generator: torch.Generator, length: int) -> Tensor:
    """Return ordinary token ids, shape [length]."""
    return torch.randint(*TEXT_IDS, (length,), generator=generator)


def collate(samples: Sequence[Sample], padding: str = "right") -> dict[str, Tensor]:
    """Return model inputs: token tensors padded to the longest sample, image tensors concatenated."""
    length = max(len(sample.tokens["input_ids"]) for sample in samples)
    columns: dict[str, list[Tensor]] = {}
    for sample in samples:
        own = len(sample.tokens["input_ids"])
        tokens = {**sample.tokens, "attention_mask": torch.ones(own, dtype=torch.long)}
        for name, value in tokens.items():
            filler = value.new_full((length - own, *value.shape[1:]), PAD)
            parts = [filler, value] if padding == "left" else [value, filler]
            columns.setdefault(name, []).append(torch.cat(parts))
    batch = {name: torch.stack(values) for name, values in columns.items()}
    for name in samples[0].images:
        batch[name] = torch.cat([sample.images[name] for sample in samples])
    return batch
