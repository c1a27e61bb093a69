"""What a training costs: counted operations, seconds per step, memory; by running the training itself.

An optimiser tells when it has taken a step, so nothing of the training is written again here.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch.optim.optimizer import register_optimizer_step_post_hook

from hificl.diagnostics.flops import flop_counter
from hificl.diagnostics.measure import Measured, MeasureRequest
from hificl.diagnostics.memory import peak_bytes
from hificl.diagnostics.timing import now, spread
from hificl.errors import InputError
from hificl.methods import METHODS
from hificl.training import plan

WARM_UP = 2
"""Steps that are not timed: the first ones are slower."""

MEMORY_STEPS = 2
"""Steps in which memory is measured: with the first one the optimiser gets its state."""


def measure_training_cost(request: MeasureRequest, options: Mapping[str, Any]) -> Measured:
    """Count and time the training of a cell, or the fit of a fitted method, in folders that are removed afterwards.

    Operations are those of the whole call of ``train``: forwards, backwards, the teacher's forwards, image features
    where they are computed. With ``counted_steps`` only so many steps are counted, and the sum for all steps is what
    was counted plus the mean of the later counted steps for each that was not (``extrapolated``). ``flops_per_step``
    is that mean, over all counted steps but the first.

    Raises:
        InputError: A method that is only a prompt.
        RunError: The training failed.
    """
    kind = METHODS[request.cell.method].kind
    if kind == "prompt":
        raise InputError(f"training_cost: {request.cell.method} is a prompt and has no training; leave it out.")
    if kind == "fitted":
        return _fit_cost(request)
    base = request.base()
    planned = plan(base, request.data.support, method=request.cell.method, **request.cell.options)
    steps = planned.steps
    counted = min(steps, options["counted_steps"] or steps)
    timed = min(steps, options["timed_steps"] + WARM_UP)
    flops, total = _count(request, counted, steps)
    per_step = (flops[-1] - flops[0]) / (len(flops) - 1) if len(flops) > 1 else float(flops[0])
    seconds = _seconds(request, timed)
    memory = peak_bytes(lambda: _train(request, min(steps, MEMORY_STEPS)), base.device)
    results = {
        "steps": steps,
        "examples": planned.examples,
        "counted_steps": counted,
        "flops": round(total + per_step * (steps - counted)),
        "flops_per_step": round(per_step),
        "extrapolated": counted < steps,
    }
    median = spread(seconds)["median"]
    return Measured(
        results, {"seconds": median * steps, "seconds_per_step": spread(seconds), "peak_memory_bytes": memory}
    )


def _count(request: MeasureRequest, counted: int, steps: int) -> tuple[list[int], int]:
    """Return the operations at the end of every counted step, and those of the whole call."""
    found: list[int] = []
    with flop_counter() as counter, _after_each_step(lambda: found.append(int(counter.get_total_flops()))):
        _train(request, counted)
    return found, int(counter.get_total_flops())


def _seconds(request: MeasureRequest, steps: int) -> list[float]:
    """Return what each step took but the first ones, of which at least one is left."""
    device, ends = request.backbone.device, list[float]()
    with _after_each_step(lambda: ends.append(now(device))):
        start = now(device)
        _train(request, steps)
    taken = [after - before for before, after in zip([start, *ends], ends, strict=False)]
    return taken[min(WARM_UP, len(taken) - 1) :]


@contextmanager
def _after_each_step(act: Callable[[], None]) -> Iterator[None]:
    handle = register_optimizer_step_post_hook(lambda *_: act())
    try:
        yield
    finally:
        handle.remove()


def _train(request: MeasureRequest, steps: int | None) -> None:
    """Train so many steps of the cell, or fit it, and remove what it left."""
    request.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=request.folder, prefix="cost-"))
    try:
        request.train(folder, **({} if steps is None else {"steps": steps}))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fit_cost(request: MeasureRequest) -> Measured:
    device, examples = request.backbone.device, len(request.data.support)
    with flop_counter() as counter:
        _train(request, None)
    start = now(device)
    _train(request, None)
    seconds = now(device) - start
    results = {
        "steps": 0, "examples": examples, "counted_steps": 0, "flops": int(counter.get_total_flops()),
        "flops_per_step": None, "extrapolated": False,
    }  # fmt: skip
    memory = peak_bytes(lambda: _train(request, None), device)
    return Measured(results, {"seconds": seconds, "seconds_per_step": None, "peak_memory_bytes": memory})
