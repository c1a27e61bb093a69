"""In which order the examples are visited: seeded permutations, if asked for cut into batches of similar length."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator

WINDOW_BATCHES = 16
"""Batches whose examples are sorted together: enough for little padding, few enough for new neighbours every epoch."""


def visiting_order(
    examples: int,
    visits: int,
    seed: int,
    reshuffle: bool,
    *,
    lengths: Sequence[int] | None = None,
    micro_batch_size: int = 1,
) -> list[int]:
    """Return which example each visit sees: seeded permutations one after the other, or one permutation repeated.

    Args:
        examples: Number of examples.
        visits: Number of visits; the last epoch may be cut short.
        seed: Seed of the first permutation; that of a later epoch is higher by one each.
        reshuffle: A new permutation in every epoch.
        lengths: Tokens of each example. Where given, an epoch is grouped by :func:`grouped`.
        micro_batch_size: Examples that are padded to one length: visits ``0 .. micro_batch_size - 1``, and so on.

    Returns:
        Indices of examples. Epoch ``e`` is ``order[e * examples : (e + 1) * examples]`` and has every example once.
    """
    order: list[int] = []
    epoch = 0
    while len(order) < visits:
        generator = torch.Generator().manual_seed(seed + epoch if reshuffle else seed)
        drawn = torch.randperm(examples, generator=generator).tolist()
        if lengths is not None:
            drawn = grouped(drawn, lengths, micro_batch_size, -len(order) % micro_batch_size, generator)
        order += drawn
        epoch += 1
    return order[:visits]


def grouped(drawn: list[int], lengths: Sequence[int], size: int, head: int, generator: Generator) -> list[int]:
    """Put examples of similar length into one batch.

    Within windows of ``WINDOW_BATCHES`` batches the examples are sorted by length and cut into batches; then the order
    of all batches of the epoch is drawn.

    Args:
        drawn: The examples of an epoch in the order that was drawn.
        lengths: Tokens of each example.
        size: Examples of a batch.
        head: How many examples complete the last batch of the epoch before. They stay as they were drawn, as do those
            at the end that the next epoch completes to a batch.
        generator: Draws the order of the batches.
    """
    whole = (len(drawn) - head) // size * size
    first, middle, last = drawn[:head], drawn[head : head + whole], drawn[head + whole :]
    batches = []
    for start in range(0, whole, WINDOW_BATCHES * size):
        window = sorted(middle[start : start + WINDOW_BATCHES * size], key=lambda index: lengths[index])
        batches += [window[place : place + size] for place in range(0, len(window), size)]
    chosen = torch.randperm(len(batches), generator=generator).tolist()
    return [*first, *(index for batch in chosen for index in batches[batch]), *last]
