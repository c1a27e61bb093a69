"""Prefill, decoding and mixed batches cost what zero-shot costs, and a short prompt is as fast as it is short."""

from __future__ import annotations

import pytest
import torch

from benchmarks import decode, mixed_batch, prefill, prompt_length
from benchmarks.decoders import Decoder, build
from benchmarks.measure import Effort, Spread, in_turns
from benchmarks.rivals import rival
from hificl.diagnostics.flops import count_flops

from .limits import CLOCK, CPU, against_plain, held, told_apart

RIVALS = ("plain", "hificl")


def wide_layer() -> Decoder:
    """One layer of hidden size 2048, from which on the targets of inference hold."""
    torch.set_num_threads(1)
    sizes = {"num_attention_heads": 16, "num_key_value_heads": 4, "intermediate_size": 5632, "num_hidden_layers": 1}
    return build("small", CPU, hidden_size=decode.FROM_HIDDEN, **sizes)


@pytest.mark.timing
def test_prefill_against_zero_shot() -> None:
    torch.set_num_threads(1)
    decoder = build("small", CPU, num_hidden_layers=1)
    calls = {name: prefill.prefill(rival(decoder, name), decoder, 2048) for name in (*RIVALS, "published")}
    held(lambda: against_plain(calls), prefill.TARGET)
    told_apart(calls, prefill.TARGET)


@pytest.mark.timing
def test_decode_step_against_zero_shot() -> None:
    decoder = wide_layer()
    cache = decode.filled_cache(decoder, 512)
    calls = {name: decode.decode(rival(decoder, name), decoder, cache) for name in RIVALS}
    held(lambda: against_plain(calls), decode.TARGET)


@pytest.mark.timing
def test_mixed_batch_against_one_adapter() -> None:
    calls = mixed_batch.generations(wide_layer(), 8)
    pair = {"hificl": calls["mixed"], "plain": calls["one adapter"]}
    held(lambda: against_plain(pair), mixed_batch.TARGET)


@pytest.mark.timing
def test_a_short_prompt_is_faster_by_its_operations() -> None:
    decoder, example, shots = wide_layer(), 256, 3
    calls = {
        "0 shots": prefill.prefill(rival(decoder, "hificl"), decoder, example),
        "3 shots": prefill.prefill(decoder.model, decoder, example * (shots + 1)),
    }
    fewer = count_flops(calls["3 shots"]) / count_flops(calls["0 shots"])

    def measure() -> Spread:
        timings = in_turns(calls, clock=CLOCK, effort=Effort(5, 9, 5.0))
        return timings.ratio("3 shots", "0 shots").over(fewer)

    held(measure, prompt_length.TARGET)
