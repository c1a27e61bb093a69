"""Training steps of a frozen decoder: gradients to the inputs, as behind a projector that is trained or tuned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from benchmarks.command import Bench
from benchmarks.decoders import Decoder, build
from benchmarks.measure import Call, in_turns
from benchmarks.rivals import PAIRS, rival
from benchmarks.rows import Comparison, Measurement, Target, ratio_of
from hificl.diagnostics.memory import peak_bytes

ANSWER_ROWS = 8
"""Positions with logits, for every rival."""

FROM_HIDDEN = 512
"""Hidden size from which targets hold; smaller decoders spend their time outside matrix products."""


def training_step(
    model: nn.Module, decoder: Decoder, tokens: int, *, batch: int = 1, mask: Tensor | None = None
) -> Call:
    """Return a call that runs forward and backward, with a cross-entropy on the last ``ANSWER_ROWS`` positions.

    Args:
        model: A rival over the decoder's weights.
        decoder: Where sizes come from.
        tokens: Length of the sequences.
        batch: Number of sequences.
        mask: Padding mask [batch tokens], or None.
    """
    embeddings = decoder.embeddings(batch, tokens)
    labels = decoder.tokens(batch, ANSWER_ROWS).flatten()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def run() -> None:
        output = model(inputs_embeds=embeddings, attention_mask=mask, use_cache=False, logits_to_keep=ANSWER_ROWS)
        nn.functional.cross_entropy(output.logits.flatten(0, 1), labels).backward()
        embeddings.grad = None
        for parameter in trained:
            parameter.grad = None

    return run


def left_padding(batch: int, tokens: int, device: torch.device) -> Tensor:
    """Return a mask [batch tokens]: row i begins with i padded places in twenty."""
    mask = torch.ones(batch, tokens, dtype=torch.long, device=device)
    for row in range(batch):
        mask[row, : row * tokens // 20] = 0
    return mask


def measure_steps(
    bench: Bench, row: str, rivals: Sequence[str], target: Target, *, batch: int = 1, padded: bool = False
) -> Iterator[Measurement]:
    """Time the step of every rival and count its memory, for each decoder and number of tokens.

    Args:
        bench: Sizes (tokens) and decoders.
        row: Name of the row.
        rivals: Names of ``RIVALS``; "plain" is what the others are held against.
        target: For the time of "hificl".
        batch: Number of sequences.
        padded: Whether there is a mask with left padding.
    """
    for name in bench.decoders:
        decoder = build(name, bench.device)
        models = {kind: rival(decoder, kind) for kind in rivals}
        for tokens in bench.sizes:
            bench.note(f"{name}, {batch} x {tokens} tokens")
            mask = left_padding(batch, tokens, bench.device) if padded else None
            calls = {
                kind: training_step(model, decoder, tokens, batch=batch, mask=mask) for kind, model in models.items()
            }
            timings = in_turns(calls, clock=bench.clock, effort=bench.effort)
            memory = {kind: peak_bytes(call, bench.device) for kind, call in calls.items()}
            comparisons = []
            for kind in (kind for kind in rivals if kind != "plain"):
                wanted, note = (target, "") if kind == "hificl" else (None, "")
                if wanted and decoder.hidden < FROM_HIDDEN:
                    wanted, note = None, f"the target holds from hidden size {FROM_HIDDEN}"
                comparisons += [
                    Comparison("time", kind, "plain", timings.ratio(kind, "plain"), target=wanted, note=note),
                    Comparison("peak memory", kind, "plain", ratio_of(memory[kind], memory["plain"])),
                ]
            sizes = {"tokens": tokens, "batch": batch, "padded": padded, "rows": ANSWER_ROWS, "pairs": PAIRS}
            yield Measurement(
                row, {**decoder.settings, **sizes}, bench.clock.name, tuple(comparisons),
                {kind: timings.spread(kind) for kind in calls}, memory,
            )  # fmt: skip
