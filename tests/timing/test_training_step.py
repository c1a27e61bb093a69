"""A training step costs what it costs the frozen decoder itself: law 3, measured against that rival in the same run.

Run alone (marker ``timing``): two test processes on two cores would time each other.
"""

from __future__ import annotations

import pytest
import torch

from benchmarks import padded_step, scaling, training_step
from benchmarks.command import Bench
from benchmarks.decoders import Decoder, build
from benchmarks.measure import Call, Effort, Spread, in_turns, slope
from benchmarks.rivals import rival
from benchmarks.steps import left_padding
from benchmarks.steps import training_step as step
from hificl.diagnostics.memory import peak_bytes

from .limits import CLOCK, CPU, against_plain, held, told_apart

BENCH = Bench(CPU, sizes=(), decoders=("small",), quick=False)

POINTS = (512, 2048)
"""Tokens between which growth is measured."""

RIVALS = ("plain", "hificl", "published")


def steps(
    decoder: Decoder, tokens: int, batch: int = 1, *, padded: bool = False, rivals: tuple[str, ...] = RIVALS
) -> dict[str, Call]:
    torch.set_num_threads(1)
    mask = left_padding(batch, tokens, CPU) if padded else None
    return {name: step(rival(decoder, name), decoder, tokens, batch=batch, mask=mask) for name in rivals}


@pytest.mark.timing
@pytest.mark.parametrize(("tokens", "kv_heads"), [(1024, 8), (1024, 4)])
def test_step_against_the_frozen_decoder(tokens: int, kv_heads: int) -> None:
    calls = steps(build("small", CPU, num_key_value_heads=kv_heads, num_hidden_layers=1), tokens)
    held(lambda: against_plain(calls), training_step.TARGET)
    told_apart(calls, training_step.TARGET)


@pytest.mark.timing
def test_padded_step_against_the_frozen_decoder() -> None:
    calls = steps(build("small", CPU, num_key_value_heads=4, num_hidden_layers=1), 512, 4, padded=True)
    held(lambda: against_plain(calls), padded_step.TARGET)
    told_apart(calls, padded_step.TARGET)


@pytest.mark.timing
def test_time_and_memory_grow_like_the_frozen_decoders() -> None:
    decoder = build("small", CPU, num_hidden_layers=1)
    found = {tokens: steps(decoder, tokens, rivals=("plain", "hificl")) for tokens in POINTS}

    def growth() -> Spread:
        timings = [in_turns(calls, clock=CLOCK, effort=Effort(7, 21, 3.0)) for calls in found.values()]
        return Spread.of([slope(POINTS, [one.ratio("hificl", "plain").median for one in timings])])

    # An exponent: a tenth of a ratio over two doublings is 0.07.
    held(growth, scaling.TARGET, slack=1.0)
    peaks = [peak_bytes(calls["hificl"], CPU) for calls in found.values()]
    assert slope(POINTS, peaks) < 1.05, f"memory grows faster than the tokens: {peaks} bytes at {POINTS}"


@pytest.mark.timing
@pytest.mark.parametrize(("axis", "points"), [("pairs", (4, 32)), ("rank", (4, 32)), ("layers", (1, 4))])
def test_time_grows_like_the_frozen_decoders(axis: str, points: tuple[int, int]) -> None:
    torch.set_num_threads(1)
    decoder = build("small", CPU, num_hidden_layers=1)

    def growth() -> Spread:
        at = [scaling.steps_at(BENCH, decoder, **scaling.AXES[axis].arguments(point))[0] for point in points]
        return Spread.of([slope(points, [one.ratio("hificl", "plain").median for one in at])])

    held(growth, scaling.TARGET, slack=1.0)
