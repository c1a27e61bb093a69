"""What the log shows once a minute: binding, form and question skill on held-out scenes, emoji, garments and words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration

from pretrain.batches import IGNORED, Encoder, Sample, hidden_states
from pretrain.catalogue import Catalogue
from pretrain.episodes import Draw, Rounds, made_up_labels, scenes

Task = Callable[[Draw], Rounds]
TASKS: dict[str, tuple[Task, int]] = {  # name -> (sort of episode, demonstrations)
    "same2": (lambda draw: made_up_labels(draw, family="color", ways=2, same=True), 8),
    "color2": (lambda draw: made_up_labels(draw, family="color", ways=2), 8),
    "emoji2": (lambda draw: made_up_labels(draw, family="emoji", ways=2), 8),
    "shape2": (lambda draw: made_up_labels(draw, family="shape", ways=2), 8),
    "emoji4": (lambda draw: made_up_labels(draw, family="emoji", ways=4), 8),
    "color4": (lambda draw: made_up_labels(draw, family="color", ways=4), 8),
    "garment2": (lambda draw: made_up_labels(draw, family="garment", ways=2), 8),
    "prefix": (lambda draw: scenes(draw, kind="color", name="prefix"), 4),
    "short0": (lambda draw: scenes(draw, name="short"), 0),
    "short4": (lambda draw: scenes(draw, name="short"), 4),
    "short8": (lambda draw: scenes(draw, name="short"), 8),
    "short16": (lambda draw: scenes(draw, name="short"), 16),
    "presence8": (lambda draw: scenes(draw, kind="presence", name="short"), 8),
    "sentence0": (lambda draw: scenes(draw, name="sentence"), 0),
}


def probe_sample(encoder: Encoder, draw: Draw, task: Task, shots: int) -> Sample:
    """Return an episode of `shots` rounds and a last one, the only one with targets.

    Where a label counts only once it was shown, episodes whose last label is new are drawn again.
    """
    while True:
        next_round = task(draw)
        ids, images = [encoder.bos], []
        for _ in range(shots + 1):
            turn = next_round()
            more, _ = encoder.round_tokens(turn)
            ids += more
            images += [] if turn.image is None else [turn.image]
        if turn.learned or shots == 0:
            answer = len(encoder.encode(f" {turn.answer}")) + 1
            return Sample(ids, [IGNORED] * (len(ids) - answer) + ids[-answer:], images)


@torch.no_grad()
def exact_match(
    model: LlavaForConditionalGeneration, samples: list[Sample], features: Tensor, encoder: Encoder
) -> float:
    """Return the percentage of samples whose every target token is the most likely one."""
    batch = encoder.collate(samples).to(features.device)
    hidden = hidden_states(model, batch, features, encoder)[:, :-1]
    wanted = batch.targets[:, 1:] != IGNORED
    right = model.lm_head(hidden[wanted]).argmax(-1) == batch.targets[:, 1:][wanted]
    rows = wanted.nonzero()[:, 0]
    wrong = torch.zeros(len(samples), device=rows.device).index_add(0, rows, (~right).float())
    return 100 * float((wrong == 0).float().mean())


def run_probes(
    model: LlavaForConditionalGeneration,
    catalogue: Catalogue,
    features: Tensor,
    encoder: Encoder,
    names: list[str],
    *,
    episodes: int = 60,
) -> dict[str, float]:
    """Return the exact match (percent) of the named tasks on held-out material, the same episodes every time."""
    scores = {}
    for number, name in enumerate(names):
        task, shots = TASKS[name]
        draw = Draw(np.random.default_rng([777, number]), catalogue, held_out=True)
        samples = [probe_sample(encoder, draw, task, shots) for _ in range(episodes)]
        scores[name] = exact_match(model, samples, features, encoder)
    return scores
