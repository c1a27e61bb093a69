"""Prefill of a prompt into a new cache, without gradients: zero-shot, with pairs, and with other adapters."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import torch
from torch import nn

from benchmarks.command import Bench, Script, run
from benchmarks.decoders import Decoder, build
from benchmarks.measure import Call, in_turns
from benchmarks.rivals import PAIRS, rival
from benchmarks.rows import Comparison, Measurement, Target, ratio_of
from benchmarks.steps import FROM_HIDDEN
from hificl.diagnostics.memory import peak_bytes

TARGET = Target(1.03)
RIVALS = ("plain", "hificl", "prepended", "published", "lora")


def prefill(model: nn.Module, decoder: Decoder, tokens: int, *, batch: int = 1) -> Call:
    """Return a call that reads a prompt [batch tokens] into a new cache and gives the logits of the last position."""
    ids = decoder.tokens(batch, tokens)

    @torch.no_grad()
    def run() -> None:
        model(input_ids=ids, use_cache=True, logits_to_keep=1)

    return run


def measure(bench: Bench) -> Iterator[Measurement]:
    """Time every rival and count its memory, for each decoder and number of tokens."""
    for name in bench.decoders:
        decoder = build(name, bench.device)
        target = TARGET if decoder.hidden >= FROM_HIDDEN else None
        note = "" if target else f"the target holds from hidden size {FROM_HIDDEN}"
        models = {kind: rival(decoder, kind) for kind in RIVALS}
        for tokens in bench.sizes:
            bench.note(f"{name}, {tokens} tokens")
            calls = {kind: prefill(model, decoder, tokens) for kind, model in models.items()}
            timings = in_turns(calls, clock=bench.clock, effort=bench.effort)
            memory = {kind: peak_bytes(call, bench.device) for kind, call in calls.items()}
            comparisons = [
                Comparison("time", "hificl", "plain", timings.ratio("hificl", "plain"), target=target, note=note),
                Comparison("peak memory", "hificl", "plain", ratio_of(memory["hificl"], memory["plain"])),
                *(Comparison("time", kind, "plain", timings.ratio(kind, "plain")) for kind in RIVALS[2:]),
            ]
            yield Measurement(
                SCRIPT.name, {**decoder.settings, "tokens": tokens, "batch": 1, "pairs": PAIRS}, bench.clock.name,
                tuple(comparisons), {kind: timings.spread(kind) for kind in calls}, memory,
            )  # fmt: skip


SCRIPT = Script(
    "prefill", __doc__, measure, size_is="tokens", sizes=(512, 2048), quick_sizes=(96,),
    decoders=("small", "small-grouped", "idefics2-slice"), cuda_decoders=("llava-interleave", "idefics2"),
    quick_decoders=("tiny",),
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run(SCRIPT))
