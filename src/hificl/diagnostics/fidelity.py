"""How closely a method computes what the frozen model computes where it sees real demonstrations.

Of every layer: the distance between the states of a model that reads a query and its answer, and those of the frozen
model that reads k demonstrations before them, at the tokens that both read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from peft import PeftModel

from hificl.backbones import Backbone, with_opening
from hificl.data import Example
from hificl.diagnostics.asked import Asked
from hificl.diagnostics.lines import ZERO_SHOT, Lines, Reader
from hificl.diagnostics.measure import Measured, MeasureRequest
from hificl.errors import InputError
from hificl.evaluation import demonstration_chooser
from hificl.evaluation.progress import Progress
from hificl.methods import METHODS

SITES = ("attention_output", "residual")
"""Where states are compared by default: what the attention of a layer puts out, and the hidden state behind it."""

BATCH_TOKENS = 8192
"""Tokens of a batch of prompts with demonstrations. A fixed number, so that every machine makes the same batches."""


def fidelity(
    backbone: Backbone,
    readers: Mapping[str, Reader],
    queries: Sequence[Example],
    support: Sequence[Example],
    *,
    shots: int = 8,
    draws: int = 2,
    seed: int = 0,
    sites: Sequence[str] = SITES,
    batch_size: int | None = None,
) -> dict[str, Any]:
    """Compare readers with the frozen model that sees demonstrations.

    Args:
        backbone: The frozen model, in the prompt form of all readers, which may differ in their ``opening``.
        readers: By name of their line. ``zero_shot`` is added, and with two or more draws ``other_demonstrations``: the
            frozen model with the demonstrations of the next draw, which differs from the reference as much as one
            k-shot prompt from another.
        queries: Each is read with its first answer; prompts are those of training.
        support: Demonstrations are drawn from these, never the query itself.
        shots: Demonstrations of the reference, k.
        draws: References per query, each with demonstrations of its own; distances are averaged over them.
        seed: Seed of the draws; the first is the one of ``evaluate`` with this seed.
        sites: Names in ``hificl.tuner.SITES``.
        batch_size: Queries per batch; None takes as many as ``BATCH_TOKENS`` allow.

    Returns:
        ``shots``, ``draws``, ``queries``, ``layers``, ``sites``, ``tokens`` (the mean number of each set in ``TOKENS``)
        and ``lines`` by name. A line holds for every site, token set and metric (``l2``, ``relative_l2``, ``cosine``;
        averaged over the tokens of a query, then over queries) the ``mean`` over layers, its ``ci95`` and ``by_layer``;
        ``kl`` and ``agreement`` of the answer's distributions; and ``against_zero_shot``, the paired difference of the
        mean relative L2 distance at the last site and the shared tokens: below 0 is closer than zero-shot. Intervals
        are a bootstrap over queries.

    Raises:
        InputError: No query or one without answer, too few demonstrations, a model in training mode, a backbone that
            already has an adapter, or tokens that are not the same in both prompts; the message names the sample.

    Source:
        The measure that MimIC (arXiv:2504.08851) reports is the mean L2 distance of hidden states to those with k
        shots; at which tokens it is taken is not told.
    """
    _check(backbone, readers, queries, draws)
    backbone = with_opening(backbone, "written")
    asked = [Asked.draw(backbone, query, support, shots, draws, seed) for query in queries]
    lines = Lines(backbone, {**readers, ZERO_SHOT: Reader(backbone.model)}, sites, draws)
    size = batch_size or max(1, BATCH_TOKENS // max(one.longest for one in asked))
    with Progress(len(asked), "fidelity", "sample") as progress:
        for first in range(0, len(asked), size):
            batch = asked[first : first + size]
            lines.add(batch)
            progress.advance(len(batch))
    return {"shots": shots, "draws": draws, "queries": len(asked), **lines.results()}


def _check(backbone: Backbone, readers: Mapping[str, Reader], queries: Sequence[Example], draws: int) -> None:
    if not queries:
        raise InputError("fidelity: no query was given; pass at least one.")
    if draws < 1:
        raise InputError(f"fidelity: draws is {draws}; give 1 or more.")
    if isinstance(backbone.model, PeftModel):
        raise InputError("fidelity: the backbone has an adapter and is to be the reference; pass the frozen one.")
    for name, reader in readers.items():
        if reader.model.training:
            raise InputError(f"fidelity: {name} is in training mode; call its eval() first.")


def measure_fidelity(request: MeasureRequest, options: Mapping[str, Any]) -> Measured:
    """Compare the method of a cell with k real demonstrations; see :func:`fidelity`."""
    backbone, model = request.train(request.folder)
    cell, support = request.cell, request.data.support
    choose = None
    if cell.retrieval != "random":
        choose = demonstration_chooser(backbone, support, shots=cell.shots, retrieval=cell.retrieval, seed=cell.seed)
    is_zero_shot = METHODS[cell.method].kind == "prompt" and not cell.shots
    readers = {} if is_zero_shot else {request.name: Reader(model, cell.shots, choose, backbone.prompt.opening)}
    queries = request.data.queries[: options["queries"]]
    found = fidelity(
        backbone, readers, queries, support, shots=options["shots"], draws=options["draws"], seed=cell.seed
    )
    return Measured(found)
