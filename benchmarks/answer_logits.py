"""A training step with logits of the answer rows against one with logits of all rows: memory and time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from benchmarks.command import Bench, Script, run
from benchmarks.decoders import Decoder, build
from benchmarks.measure import in_turns
from benchmarks.rivals import PAIRS, rival
from benchmarks.rows import Comparison, Measurement, Target, ratio_of
from hificl.diagnostics.memory import peak_bytes
from hificl.training.loss import IGNORED, answer_loss, answer_positions

BATCH, ANSWER = 4, 8
TARGET = Target((ANSWER + 1) / ANSWER)
"""One row more than the answer has tokens: the position before it predicts its first token."""

VOCABULARY = 32_003
"""That of Idefics2, the smaller of the two."""


def labels_at_the_end(decoder: Decoder, tokens: int) -> Tensor:
    """Return labels [batch tokens] that count on the last ``ANSWER`` positions alone."""
    labels = torch.full((BATCH, tokens), IGNORED, device=decoder.model.device)
    labels[:, -ANSWER:] = decoder.tokens(BATCH, ANSWER)
    return labels


def step(model: nn.Module, decoder: Decoder, tokens: int, rows: int) -> Callable[[], int]:
    """Return a call that trains once on the answers, from logits of the last ``rows`` positions.

    It returns the number of logits.
    """
    embeddings, labels = decoder.embeddings(BATCH, tokens), labels_at_the_end(decoder, tokens)

    def run() -> int:
        output = model(inputs_embeds=embeddings, use_cache=False, logits_to_keep=rows)
        answer_loss(output, labels).backward()
        embeddings.grad = None
        model.zero_grad()
        return int(output.logits.numel())

    return run


def measure(bench: Bench) -> Iterator[Measurement]:
    """Time both and count their memory, for each decoder and number of tokens."""
    for name in bench.decoders:
        decoder = build(name, bench.device, vocab_size=VOCABULARY)
        model = rival(decoder, "hificl")
        for tokens in bench.sizes:
            bench.note(f"{name}, {BATCH} x {tokens} tokens, vocabulary {VOCABULARY}")
            kept = answer_positions(labels_at_the_end(decoder, tokens))
            answer = step(model, decoder, tokens, kept)
            calls = {"answer rows": answer, "all rows": step(model, decoder, tokens, tokens)}
            timings = in_turns(calls, clock=bench.clock, effort=bench.effort)
            memory = {kind: peak_bytes(call, bench.device) for kind, call in calls.items()}
            logits = ratio_of(answer(), BATCH * ANSWER * VOCABULARY)
            yield Measurement(
                SCRIPT.name, {**decoder.settings, "tokens": tokens, "batch": BATCH, "answer": ANSWER, "pairs": PAIRS},
                bench.clock.name,
                (
                    Comparison("logits in memory", "answer rows", "batch x answer x vocabulary", logits, target=TARGET),
                    Comparison(
                        "peak memory", "answer rows", "all rows", ratio_of(memory["answer rows"], memory["all rows"])
                    ),
                    Comparison("time", "answer rows", "all rows", timings.ratio("answer rows", "all rows")),
                ),
                {kind: timings.spread(kind) for kind in calls}, memory,
            )  # fmt: skip


SCRIPT = Script(
    "answer_logits", __doc__, measure, size_is="tokens", sizes=(256,), quick_sizes=(64,),
    decoders=("small",), cuda_decoders=("llava-interleave", "idefics2"), quick_decoders=("tiny",),
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run(SCRIPT))
