"""Prefill at 0 shots with pairs against prompts with demonstrations: the gain, beside that in counted operations.

The frozen decoder at 0 shots runs along: what it does not gain either, a short prompt cannot gain on that machine.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from benchmarks.command import Bench, Script, run
from benchmarks.decoders import build
from benchmarks.measure import Effort, in_turns
from benchmarks.prefill import prefill
from benchmarks.rivals import PAIRS, rival
from benchmarks.rows import Comparison, Measurement, Target, ratio_of
from hificl.diagnostics.flops import count_flops

TARGET = Target(0.8, at_least=True)
EFFORT = Effort(3, 9, 60.0)
"""Fewer rounds than elsewhere: a prompt of 16 shots takes minutes."""

FROM_HIDDEN = 2048
"""Hidden size from which the target holds: smaller matrices are far from full speed on the few tokens of 0 shots."""

IMAGE_TOKENS = {"idefics2": 64, "llava-interleave": 729}
"""Tokens of one image, by family."""

SMALL_IMAGE_TOKENS = 16
TEXT_TOKENS = 26
"""Tokens of one question with its answer and the marks around them."""

PUBLISHED = {
    "8 shots / 0 shots": 1.8, "16 shots / 0 shots": 3.1,
    "source": "HiFICL, arXiv:2603.12760: whole answers, other hardware and data",
}  # fmt: skip


def tokens_per_example(decoder: str) -> int:
    """Return the length of one image with its question, in the family that a decoder belongs to."""
    image = next((tokens for family, tokens in IMAGE_TOKENS.items() if decoder.startswith(family)), SMALL_IMAGE_TOKENS)
    return image + TEXT_TOKENS


def measure(bench: Bench) -> Iterator[Measurement]:
    """Time and count both prompts, for each decoder and number of shots."""
    for name in bench.decoders:
        decoder = build(name, bench.device)
        example = tokens_per_example(name)
        target = TARGET if decoder.hidden >= FROM_HIDDEN else None
        note = "" if target else f"the target holds from hidden size {FROM_HIDDEN}"
        for shots in bench.sizes:
            bench.note(f"{name}, {shots} shots of {example} tokens")
            prompt = f"{shots} shots"
            calls = {
                "hificl": prefill(rival(decoder, "hificl"), decoder, example),
                "0 shots": prefill(decoder.model, decoder, example),
                prompt: prefill(decoder.model, decoder, example * (shots + 1)),
            }
            flops = {kind: count_flops(call) for kind, call in calls.items()}
            timings = in_turns(calls, clock=bench.clock, effort=bench.effort if bench.quick else EFFORT)
            faster, fewer = timings.ratio(prompt, "hificl"), flops[prompt] / flops["hificl"]
            yield Measurement(
                SCRIPT.name, {**decoder.settings, "shots": shots, "tokens_per_example": example, "pairs": PAIRS},
                bench.clock.name,
                (
                    Comparison(
                        "time ratio over FLOP ratio", prompt, "hificl", faster.over(fewer), target=target, note=note
                    ),
                    Comparison(
                        "time ratio over FLOP ratio", prompt, "0 shots",
                        timings.ratio(prompt, "0 shots").over(flops[prompt] / flops["0 shots"]),
                    ),
                    Comparison("time", prompt, "hificl", faster),
                    Comparison("time", "hificl", "0 shots", timings.ratio("hificl", "0 shots")),
                    Comparison("FLOPs", prompt, "hificl", ratio_of(flops[prompt], flops["hificl"])),
                ),
                {kind: timings.spread(kind) for kind in calls}, flops=flops, published=PUBLISHED,
            )  # fmt: skip


SCRIPT = Script(
    "prompt_length", __doc__, measure, size_is="shots", sizes=(8, 16), quick_sizes=(4,),
    decoders=("idefics2-slice",), cuda_decoders=("llava-interleave", "idefics2"),
    quick_decoders=("small",),
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run(SCRIPT))
