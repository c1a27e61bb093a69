"""Prefill, decoding and mixed batches cost what zero-shot costs, and a short prompt is as fast as it is short."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
import torch

from benchmarks import decode, evaluation_batch, mixed_batch, prefill, prompt_length
from benchmarks.decoders import Decoder, build
from benchmarks.measure import Effort, Spread, in_turns
from benchmarks.rivals import rival
from benchmarks.rows import Target
from hificl import TASKS, HiFICLConfig, load_backbone
from hificl.adapters.stored import new_adapter
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
def test_compiled_decode_step_against_zero_shot() -> None:
    """Behind a long prompt: there, pairs in front of the cached keys cost a copy of these in every step."""
    torch.set_num_threads(1)
    decoder = build("small", CPU, num_hidden_layers=1)
    with ExitStack() as opened:
        calls = {name: decode.compiled_decode(rival(decoder, name), decoder, 4096, opened) for name in RIVALS}
        held(lambda: against_plain(calls), decode.TARGET)


@pytest.mark.timing
def test_questions_in_batches_are_answered_faster_than_one_by_one() -> None:
    """The target is for a GPU; here 64 questions gave a factor of six."""
    torch.set_num_threads(1)
    backbone = load_backbone("embedded", device=CPU)
    model = new_adapter(backbone, HiFICLConfig()).eval()
    calls = evaluation_batch.evaluations(backbone, model, TASKS["easy_vqa"].load(query_size=32).queries)

    def measure() -> Spread:
        return in_turns(calls, clock=CLOCK, effort=Effort(3, 5, 2.0)).ratio("batches of one", "batches that fit")

    held(measure, Target(3.0, at_least=True))


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
