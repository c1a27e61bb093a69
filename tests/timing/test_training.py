"""Training to the end against a method that needs a teacher, and logits of the answer rows alone."""

from __future__ import annotations

import pytest
import torch

from benchmarks import answer_logits, teacher_training
from benchmarks.decoders import build
from benchmarks.measure import Effort, Spread, in_turns
from benchmarks.rivals import rival
from benchmarks.rows import ratio_of
from hificl import TASKS
from hificl.diagnostics.flops import count_flops
from hificl.diagnostics.memory import peak_bytes
from hificl.training.loss import answer_positions

from .limits import CLOCK, CPU, held

SHOTS = 4


@pytest.mark.timing
def test_training_is_faster_than_with_a_teacher_by_its_operations() -> None:
    torch.set_num_threads(1)
    backbone = teacher_training.backbone_of("medium", CPU)
    examples = list(TASKS["easy_vqa"].load().support[:32])
    options = {"hificl": {}, "mimic": {"teacher": "mse", "teacher_shots": SHOTS}}
    one_step = {
        name: count_flops(teacher_training.training(backbone, examples, name, steps=1, **told))
        for name, told in options.items()
    }
    calls = {name: teacher_training.training(backbone, examples, name, **told) for name, told in options.items()}
    fewer = one_step["mimic"] / one_step["hificl"]
    assert fewer == pytest.approx((SHOTS + 3) / 2, rel=0.1)

    def measure() -> Spread:
        timings = in_turns(calls, clock=CLOCK, effort=Effort(1, 1, 0.0), warm_up=False)
        return timings.ratio("mimic", "hificl").over(fewer)

    # So short a training holds much of what is done once, before the first step and after the last.
    held(measure, teacher_training.TARGET, slack=0.2)


@pytest.mark.timing
def test_logits_of_answer_rows_alone() -> None:
    decoder = build("tiny", CPU, vocab_size=answer_logits.VOCABULARY)
    tokens, model = 96, rival(decoder, "hificl")
    kept = answer_positions(answer_logits.labels_at_the_end(decoder, tokens))
    calls = {rows: answer_logits.step(model, decoder, tokens, rows) for rows in (kept, tokens)}
    answer = answer_logits.BATCH * answer_logits.ANSWER * answer_logits.VOCABULARY
    held(lambda: ratio_of(calls[kept](), answer), answer_logits.TARGET, slack=0.0)
    peaks = {rows: peak_bytes(call, CPU) for rows, call in calls.items()}
    assert peaks[kept] < peaks[tokens] / 3
