"""The encoded prompts of an evaluation: every length known before it starts, tensors kept while they fit in memory."""

from __future__ import annotations

from collections.abc import Sequence

from hificl.backbones import Backbone, Encoded, check_context, encode
from hificl.data import Example
from hificl.errors import InputError
from hificl.evaluation.retrieval import demonstration_chooser

KEPT_BYTES = 2 * 2**30
"""Bytes of processed images that are kept between the size estimate and generation; the rest is processed again."""


class Queries:
    """Queries with their demonstrations, encoded once to measure them and again only where memory forbids to keep them.

    Args:
        backbone: Encodes the prompts.
        examples: The queries; their answers are not read.
        shots: Demonstrations per query.
        demonstrations: Support set to choose them from, never the query itself.
        retrieval: How they are chosen: ``"random"``, seeded per query, or ``"rices"``, by the similarity of the images.
        seed: Seed of the draw.
        new_tokens: Room that every prompt must leave in the context.

    Raises:
        InputError: No query, two queries with one id, a support set that is too small, an unreadable image, a prompt
            that does not fit into the context (the message names the sample), or ``"rices"`` without images.
    """

    def __init__(
        self,
        backbone: Backbone,
        examples: Sequence[Example],
        *,
        shots: int = 0,
        demonstrations: Sequence[Example] = (),
        retrieval: str = "random",
        seed: int = 0,
        new_tokens: int = 0,
    ) -> None:
        _check_ids(examples)
        self.backbone = backbone
        self.examples = list(examples)
        choose = demonstration_chooser(backbone, demonstrations, shots=shots, retrieval=retrieval, seed=seed)
        self.demonstrations = [choose(one) for one in self.examples]
        self.lengths: list[int] = []
        self.image_bytes: list[int] = []
        self._kept: dict[int, Encoded] = {}
        kept_bytes = 0
        for index, example in enumerate(self.examples):
            encoded = self._encode(index)
            check_context(backbone, encoded.length + new_tokens, example.id, shots=shots)
            self.lengths.append(encoded.length)
            self.image_bytes.append(sum(tensor.nbytes for tensor in encoded.inputs.values()))
            if kept_bytes + self.image_bytes[-1] <= KEPT_BYTES:
                kept_bytes += self.image_bytes[-1]
                self._kept[index] = encoded

    def __len__(self) -> int:
        return len(self.examples)

    def encoded(self, index: int) -> Encoded:
        """The prompt of one query."""
        return self._kept[index] if index in self._kept else self._encode(index)

    def _encode(self, index: int) -> Encoded:
        return encode(self.backbone, self.examples[index], demonstrations=self.demonstrations[index])


def _check_ids(examples: Sequence[Example]) -> None:
    if not examples:
        raise InputError("evaluation was given no example; give at least one.")
    seen: dict[str, int] = {}
    for index, example in enumerate(examples):
        if example.id in seen:
            raise InputError(
                f"sample {example.id!r} stands at places {seen[example.id]} and {index}; give every sample its own id."
            )
        seen[example.id] = index
