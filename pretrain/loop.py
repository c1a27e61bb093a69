"""Runs one stage to its last step: schedule, checkpoints, a progress line and a probe every minute."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pretrain.checkpoint import read_mark, read_optimiser, read_tensors, write_folder
from pretrain.optimiser import MasterAdamW

CHECKPOINT_SECONDS = 120.0
PROBE_SECONDS = 60.0


@dataclass(frozen=True)
class Stage:
    """One stage of the curriculum, as data.

    kind: "vision" or "episodes" (which learner runs it).
    steps: optimiser steps.  batch: images per step ("vision"), or tokens per step (the others).
    shares: part of a parameter's name -> its share of the learning rate, 0 to freeze it. Adam moves every weight by
        about the learning rate, however small its gradient: at the full rate, words drift away from what reads them.
    options: what the learner of that kind reads, e.g. the mix of episode sorts.
    """

    name: str
    kind: str
    steps: int
    batch: int
    learning_rate: float
    final_rate: float
    warmup: int = 100
    weight_decay: float = 0.05
    shares: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


class Learner(Protocol):
    """What a stage trains: its parameters and the loss of a step."""

    def parameters(self) -> dict[str, nn.Parameter]:
        """Return the trained parameters by name."""
        ...

    def loss(self, step: int) -> Tensor:
        """Return the loss of the batch of `step`."""
        ...


class TrainingError(RuntimeError):
    """The loss of a step is not a number."""


def _say(log: Path, line: dict[str, Any]) -> None:
    """Print one progress line and append it to the run's log."""
    print(" ".join(f"{key}={value}" for key, value in line.items()), flush=True)
    with log.open("a") as stream:
        stream.write(json.dumps(line) + "\n")


def run_stage(
    folder: Path,
    stage: Stage,
    learner: Learner,
    probe: Callable[[], dict[str, float]],
    fingerprint: str,
    *,
    half: bool = False,
    stop_after: int | None = None,
) -> dict[str, Tensor]:
    """Train `stage` in `folder`, from its last checkpoint if there is one, and return the fp32 parameters.

    half: compute in bf16; the masters stay fp32, and so do buffers such as the rotary frequencies.
    stop_after: end after that many steps as a killed run would (used by the tests).
    Raises TrainingError when a loss is not finite; the last checkpoint stays.
    """
    optimiser = MasterAdamW(
        learner.parameters(),
        learning_rate=stage.learning_rate,
        final_rate=stage.final_rate,
        steps=stage.steps,
        warmup=stage.warmup,
        weight_decay=stage.weight_decay,
        shares=stage.shares,
    )
    if half:
        for parameter in learner.parameters().values():
            parameter.data = parameter.data.to(torch.bfloat16)
    running = folder / "running"
    start, seconds = 0, 0.0
    mark = read_mark(running)
    if mark is not None and mark["fingerprint"] == fingerprint:
        optimiser.load(read_tensors(running), read_optimiser(running))
        start, seconds = mark["step"], mark["seconds"]
    optimiser.write_back()
    begun = last_probe = last_save = time.monotonic()
    log = folder / "log.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    losses: list[float] = []
    end = stage.steps if stop_after is None else min(stage.steps, stop_after)
    for step in range(start, end):
        loss = learner.loss(step)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(
                f"stage {stage.name}, step {step}: loss {value} at learning rate {optimiser.rate(step):.2g}; "
                "lower the stage's learning rate and run again with --resume"
            )
        loss.backward()
        optimiser.step(step)
        losses.append(value)
        now = time.monotonic()
        if now - last_probe > PROBE_SECONDS or step + 1 == end:
            spent = seconds + now - begun
            rate = (step + 1 - start) / (now - begun)
            with torch.no_grad():
                scores = {name: round(score, 1) for name, score in probe().items()}
            line = {"stage": stage.name, "step": step + 1, "of": stage.steps, "seconds": round(spent)}
            line["eta"] = round((stage.steps - step - 1) / rate)
            _say(log, line | {"loss": round(sum(losses) / len(losses), 4)} | scores)
            losses, last_probe = [], time.monotonic()
        if now - last_save > CHECKPOINT_SECONDS or step + 1 == end:
            spent = seconds + time.monotonic() - begun
            state = {"fingerprint": fingerprint, "step": step + 1, "seconds": spent, "stage": asdict(stage)}
            write_folder(running, optimiser.masters, state, optimiser.adam.state_dict())
            last_save = time.monotonic()
    return optimiser.masters
