"""The training examples as the Trainer visits them: encoded once, in one seeded order over all epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from hificl.backbones import Backbone, Encoded, collate, encode
from hificl.data import Example
from hificl.errors import InputError
from hificl.training.loss import answer_positions, first_tokens

KEPT_BYTES = 1024**3
"""Most bytes of pixels and other processor outputs kept in memory; later examples are encoded at every visit."""


class EncodedExamples:
    """The examples with their first answer as target, each encoded and checked when this is made.

    Raises:
        InputError: No example, two with one id, one without answer, or what ``encode`` refuses.
    """

    def __init__(self, backbone: Backbone, examples: Sequence[Example], kept_bytes: int = KEPT_BYTES) -> None:
        check_examples(examples)
        self.backbone = backbone
        self.examples = list(examples)
        self.kept: dict[int, Encoded] = {}
        self.lengths: list[int] = []
        self.places = {example.id: index for index, example in enumerate(self.examples)}
        for index, example in enumerate(self.examples):
            encoded = encode(backbone, example, answer=example.answers[0])
            self.lengths.append(len(encoded.input_ids) + len(encoded.answer_ids))
            kept_bytes -= sum(value.numel() * value.element_size() for value in encoded.inputs.values())
            if kept_bytes >= 0:
                self.kept[index] = encoded

    def __len__(self) -> int:
        return len(self.examples)

    def length_of(self, id: str) -> int:
        """Return the tokens of one example, answer included."""
        return self.lengths[self.places[id]]

    def __getitem__(self, index: int) -> Encoded:
        if index in self.kept:
            return self.kept[index]
        example = self.examples[index]
        return encode(self.backbone, example, answer=example.answers[0])


class Visits(Dataset[Encoded]):
    """What the Trainer's one long epoch visits: position i is the i-th example that the run sees.

    Epochs follow each other without a gap, so that every optimiser step has the full effective batch, whatever the
    number of examples, and the same one on one process or several, cut into the same micro batches.
    """

    def __init__(self, encoded: EncodedExamples, order: Sequence[int]) -> None:
        self.encoded = encoded
        self.order = order

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, position: int) -> Encoded:
        return self.encoded[self.order[position]]


class Batches:
    """Collates encoded examples and says at how many positions logits are needed.

    Args:
        backbone: Pads the sequences.
        arguments: Further keyword arguments of the model.
        keeps_some_logits: Whether the model can compute logits at some positions only.
        answer_tokens: Which answer tokens have labels, ``"all"`` or ``"first"``.
        needs_logits: Whether logits are used at all.
    """

    def __init__(
        self,
        backbone: Backbone,
        arguments: Mapping[str, Any],
        keeps_some_logits: bool,
        *,
        answer_tokens: str = "all",
        needs_logits: bool = True,
    ) -> None:
        self.backbone = backbone
        self.arguments = dict(arguments)
        self.keeps_some_logits = keeps_some_logits
        self.answer_tokens = answer_tokens
        self.needs_logits = needs_logits

    def __call__(self, encoded: Sequence[Encoded]) -> dict[str, Tensor | int | bool]:
        """Return a left-padded batch with the model's further keyword arguments."""
        batch: dict[str, Any] = dict(collate(self.backbone, encoded, padding_side="left"))
        if self.answer_tokens == "first":
            batch["labels"] = first_tokens(batch["labels"])
        if self.keeps_some_logits:
            kept = answer_positions(batch["labels"])
            # No positions: 0 would stand for all of them.
            batch["logits_to_keep"] = kept if self.needs_logits else torch.empty(0, dtype=torch.long)
        return {**batch, **self.arguments}


def check_examples(examples: Sequence[Example]) -> None:
    """Refuse what cannot be trained on.

    Raises:
        InputError: No example, an id that occurs twice, or an example without answer.
    """
    if not examples:
        raise InputError("train: no example was given; pass at least one.")
    seen: set[str] = set()
    for example in examples:
        if example.id in seen:
            raise InputError(f"train: the id {example.id!r} occurs twice; give every example its own.")
        seen.add(example.id)
        if not example.answers or not example.answers[0].strip():
            raise InputError(f"example {example.id!r}: no answer to train on; add one or leave the example out.")
