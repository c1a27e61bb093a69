"""Decode steps on a filled cache: zero-shot, with pairs, with LoRA."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator

import torch
from torch import nn
from transformers import DynamicCache

from benchmarks.command import Bench, Script, run
from benchmarks.decoders import Decoder, build
from benchmarks.measure import Call, in_turns
from benchmarks.rivals import PAIRS, rival
from benchmarks.rows import Comparison, Measurement, Target

TARGET = Target(1.02, limit=1.10)
FROM_HIDDEN = 2048
"""Hidden size from which the target holds. In smaller decoders that run uncompiled, Python takes most of a step."""

STEPS = 8
"""Tokens per call; afterwards the cache is cut back."""

RIVALS = ("plain", "hificl", "lora")


@torch.no_grad()
def filled_cache(decoder: Decoder, tokens: int) -> DynamicCache:
    """Return a cache that holds that many tokens of a random prompt."""
    cache = DynamicCache(config=decoder.model.config)
    decoder.model(input_ids=decoder.tokens(1, tokens), past_key_values=cache, use_cache=True, logits_to_keep=1)
    return cache


def decode(model: nn.Module, decoder: Decoder, cache: DynamicCache) -> Call:
    """Return a call that decodes ``STEPS`` tokens one by one on a copy of the cache."""
    own = copy.deepcopy(cache)
    ids = decoder.tokens(1, 1)

    @torch.no_grad()
    def run() -> None:
        for _ in range(STEPS):
            model(input_ids=ids, past_key_values=own, use_cache=True)
        own.crop(-STEPS)

    return run


def measure(bench: Bench) -> Iterator[Measurement]:
    """Time every rival, for each decoder and number of tokens in the cache."""
    for name in bench.decoders:
        decoder = build(name, bench.device)
        target = TARGET if decoder.hidden >= FROM_HIDDEN else None
        note = "" if target else f"the target holds from hidden size {FROM_HIDDEN}, or compiled"
        models = {kind: rival(decoder, kind) for kind in RIVALS}
        for tokens in bench.sizes:
            bench.note(f"{name}, {tokens} tokens in the cache")
            cache = filled_cache(decoder, tokens)
            calls = {kind: decode(model, decoder, cache) for kind, model in models.items()}
            timings = in_turns(calls, clock=bench.clock, effort=bench.effort)
            yield Measurement(
                SCRIPT.name, {**decoder.settings, "cached": tokens, "batch": 1, "steps": STEPS, "pairs": PAIRS},
                bench.clock.name,
                (
                    Comparison("time", "hificl", "plain", timings.ratio("hificl", "plain"), target=target, note=note),
                    Comparison("time", "lora", "plain", timings.ratio("lora", "plain")),
                ),
                {kind: timings.spread(kind) for kind in calls},
            )  # fmt: skip


SCRIPT = Script(
    "decode", __doc__, measure, size_is="tokens in the cache", sizes=(512, 2048), quick_sizes=(96,),
    decoders=("llava-interleave-slice", "idefics2-slice", "small"), cuda_decoders=("llava-interleave", "idefics2"),
    quick_decoders=("tiny",),
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run(SCRIPT))
