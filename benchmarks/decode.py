"""Decode steps on a filled cache: zero-shot, with pairs, with LoRA; as Python runs them, and compiled.

A step is a call of the transformers model, as in ``generate``; what PEFT does once per generation is not in it.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import DynamicCache, StaticCache

from benchmarks.command import Bench, Script, run
from benchmarks.decoders import Decoder, build
from benchmarks.measure import Call, in_turns
from benchmarks.rivals import PAIRS, rival
from benchmarks.rows import Comparison, Measurement, Target

TARGET = Target(1.02)
FROM_HIDDEN = 2048
"""Hidden size from which the target holds uncompiled. In smaller decoders Python takes most of such a step."""

STEPS = 8
"""Tokens per call; afterwards the cache is cut back."""

RIVALS = ("plain", "hificl", "lora")


def stepped(model: nn.Module) -> Any:
    """Return what ``generate`` calls for every token."""
    return model.get_base_model() if isinstance(model, PeftModel) else model


@torch.no_grad()
def filled_cache(decoder: Decoder, tokens: int) -> DynamicCache:
    """Return a cache that holds that many tokens of a random prompt."""
    cache = DynamicCache(config=decoder.model.config)
    decoder.model(input_ids=decoder.tokens(1, tokens), past_key_values=cache, use_cache=True, logits_to_keep=1)
    return cache


def decode(model: nn.Module, decoder: Decoder, cache: DynamicCache) -> Call:
    """Return a call that decodes ``STEPS`` tokens one by one on a copy of the cache."""
    own, step = copy.deepcopy(cache), stepped(model)
    ids = decoder.tokens(1, 1)

    @torch.no_grad()
    def run() -> None:
        for _ in range(STEPS):
            step(input_ids=ids, past_key_values=own, use_cache=True)
        own.crop(-STEPS)

    return run


def compiled_decode(model: nn.Module, decoder: Decoder, tokens: int, opened: ExitStack) -> Call:
    """Return a call that decodes ``STEPS`` tokens by a compiled step on a static cache, filled by the model itself.

    Args:
        model: The rival.
        decoder: Its decoder.
        tokens: Tokens of the prompt in the cache.
        opened: Until it is closed, PEFT's context of one generation is open.
    """
    if isinstance(model, PeftModel):
        opened.enter_context(model._enable_peft_forward_hooks())
    base = stepped(model)
    cache = StaticCache(config=base.config, max_cache_len=tokens + STEPS)
    with torch.no_grad():
        base(input_ids=decoder.tokens(1, tokens), past_key_values=cache, use_cache=True, logits_to_keep=1)
    # In a region of its own: rivals share their code and would take each other's graphs for recompilations.
    step = torch.compile(base.__call__, fullgraph=True, isolate_recompiles=True, mode=_mode(decoder))
    ids, inputs = decoder.tokens(1, 1), list(_inputs_of_steps(base, cache, tokens))

    @torch.no_grad()
    def run() -> None:
        for mask, positions in inputs:
            step(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True)
        for layer in cache.layers:
            layer.cumulative_length.sub_(STEPS)

    return run


def _mode(decoder: Decoder) -> str:
    return "reduce-overhead" if decoder.model.device.type == "cuda" else "default"


def _inputs_of_steps(base: Any, cache: StaticCache, tokens: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the mask and the position of every step, as generation makes them outside of the compiled call."""
    device = base.device
    for position in range(tokens, tokens + STEPS):
        positions = torch.tensor([[position]], device=device)
        seen = torch.arange(cache.get_max_length(), device=device)[None, None, None] <= position
        yield seen, positions


def compare(
    bench: Bench, decoder: Decoder, calls: dict[str, Call], tokens: int, target: Target | None, note: str,
    *, compiled: bool,
) -> Measurement:  # fmt: skip
    """Time the rivals."""
    timings = in_turns(calls, clock=bench.clock, effort=bench.effort)
    sizes = {"cached": tokens, "batch": 1, "steps": STEPS, "pairs": PAIRS, **({"compiled": True} if compiled else {})}
    return Measurement(
        SCRIPT.name, {**decoder.settings, **sizes},
        bench.clock.name,
        (
            Comparison("time", "hificl", "plain", timings.ratio("hificl", "plain"), target=target, note=note),
            Comparison("time", "lora", "plain", timings.ratio("lora", "plain")),
        ),
        {kind: timings.spread(kind) for kind in calls},
    )  # fmt: skip


def measure(bench: Bench) -> Iterator[Measurement]:
    """Time every rival, for each decoder and number of tokens in the cache, uncompiled and compiled."""
    for name in bench.decoders:
        decoder = build(name, bench.device)
        target = TARGET if decoder.hidden >= FROM_HIDDEN else None
        note = "" if target else f"the target holds from hidden size {FROM_HIDDEN}, or compiled"
        models = {kind: rival(decoder, kind) for kind in RIVALS}
        for tokens in bench.sizes:
            bench.note(f"{name}, {tokens} tokens in the cache")
            cache = filled_cache(decoder, tokens)
            calls = {kind: decode(model, decoder, cache) for kind, model in models.items()}
            yield compare(bench, decoder, calls, tokens, target, note, compiled=False)
            bench.note(f"{name}, {tokens} tokens in the cache, compiled")
            with ExitStack() as opened:
                calls = {kind: compiled_decode(model, decoder, tokens, opened) for kind, model in models.items()}
                yield compare(bench, decoder, calls, tokens, TARGET, "", compiled=True)


SCRIPT = Script(
    "decode", __doc__, measure, size_is="tokens in the cache", sizes=(512, 2048), quick_sizes=(96,),
    decoders=("llava-interleave-slice", "idefics2-slice", "small"), cuda_decoders=("llava-interleave", "idefics2"),
    quick_decoders=("tiny",),
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run(SCRIPT))
