"""Early stopping on a held-out share of the training examples; it never sees a query set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hificl.errors import InputError

LOSS = "eval_loss"


def split_holdout(examples: int, share: float, seed: int) -> tuple[list[int], list[int]]:
    """Return the indices to train on and those held out, both in rising order.

    Raises:
        InputError: A part would be empty.
    """
    if share == 0:
        return list(range(examples)), []
    held = round(examples * share)
    if not 0 < held < examples:
        raise InputError(
            f"recipe: holdout {share} of {examples} examples is {held}; both parts need at least one example, "
            "so give more examples or set holdout=0."
        )
    # An own stream: the order of the training examples uses the plain seed.
    generator = torch.Generator().manual_seed(seed + 1_000_003)
    chosen = set(torch.randperm(examples, generator=generator)[:held].tolist())
    return [index for index in range(examples) if index not in chosen], sorted(chosen)


def best_step(history: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the step with the lowest held-out loss, the first one among equals; None before any was measured."""
    measured = [(entry[LOSS], entry["step"]) for entry in history if LOSS in entry]
    return min(measured)[1] if measured else None


def should_stop(history: Sequence[Mapping[str, Any]], patience: int) -> bool:
    """Return whether the last ``patience`` held-out losses brought nothing below the best before them."""
    losses = [entry[LOSS] for entry in history if LOSS in entry]
    return bool(losses) and len(losses) - 1 - losses.index(min(losses)) >= patience


class StopOnHoldout(TrainerCallback):
    """Measures at the given steps, saves each measured state and stops when it no longer improves.

    All of it follows from the log that a checkpoint holds, so a resumed run decides alike.
    """

    def __init__(self, every_steps: int, patience: int) -> None:
        self.every_steps = every_steps
        self.patience = patience

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Ask for a measurement and a checkpoint at the end of each epoch and at the last step."""
        if state.global_step % self.every_steps == 0 or state.global_step >= state.max_steps:
            control.should_evaluate = control.should_save = True
        return control

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Stop when the held-out loss no longer improves."""
        if should_stop(state.log_history, self.patience):
            control.should_training_stop = True
        return control
