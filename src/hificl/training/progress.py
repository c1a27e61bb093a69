"""Progress of a training run on stderr: a bar on a terminal, otherwise a plain line every few seconds."""

from __future__ import annotations

import sys
import time
from typing import Any

from tqdm import tqdm  # type: ignore[import-untyped]  # it has no types
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

LINE_SECONDS = 5.0
"""Least time between two plain lines."""


class Progress(TrainerCallback):
    """Shows step, loss, rate and remaining time, on the main process only."""

    def __init__(self) -> None:
        self.bar: Any = None
        self.first_step = 0
        self.started = self.last_line = 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Open the bar, at the step that a resumed run starts from."""
        if not state.is_world_process_zero:
            return
        self.first_step = state.global_step
        self.started = self.last_line = time.monotonic()
        if sys.stderr.isatty():
            self.bar = tqdm(
                total=state.max_steps, initial=state.global_step, desc="train", unit="step", file=sys.stderr
            )

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Move the bar, or write a line if the last one is old enough or this is the last step."""
        if not state.is_world_process_zero or logs is None or "loss" not in logs:
            return
        if self.bar is not None:
            self.bar.set_postfix(loss=f"{logs['loss']:.3f}", refresh=False)
            self.bar.update(state.global_step - self.bar.n)
            return
        now = time.monotonic()
        if now - self.last_line < LINE_SECONDS and state.global_step < state.max_steps:
            return
        self.last_line = now
        print(self._line(state, logs["loss"], now), file=sys.stderr, flush=True)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Close the bar, and say why a run ends before its last step."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
        if state.is_world_process_zero and state.global_step < state.max_steps:
            stopped = f"train: stopped at step {state.global_step}/{state.max_steps}"
            print(f"{stopped}, the loss of the held-out examples fell no more", file=sys.stderr, flush=True)

    def _line(self, state: TrainerState, loss: float, now: float) -> str:
        done = state.global_step - self.first_step
        rate = done / max(now - self.started, 1e-9)
        remaining = (state.max_steps - state.global_step) / max(rate, 1e-9)
        return (
            f"train: step {state.global_step}/{state.max_steps}, loss {loss:.3f}, "
            f"{rate:.2f} steps/s, {remaining:.0f} s left"
        )
