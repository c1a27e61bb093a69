"""Training to the end, same examples and epochs: pairs from answers alone against MimIC, which needs its teacher.

Times and counted operations are those of whole calls of ``hificl.train``, everything around the steps included.
"""

from __future__ import annotations

import copy
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from transformers import AutoConfig

from benchmarks.command import Bench, Script, run
from benchmarks.decoders import DECODERS
from benchmarks.measure import Effort, in_turns
from benchmarks.rows import Comparison, Measurement, Target, ratio_of
from hificl import TASKS, load_backbone, train
from hificl.backbones import Backbone
from hificl.data import Example
from hificl.diagnostics.flops import count_flops

TARGET = Target(0.9, at_least=True)
EFFORT = Effort(3, 3, 0.0)
PUBLISHED = {
    "time": 7.5, "FLOPs": 14.3,
    "source": "HiFICL, arXiv:2603.12760, against MimIC: other hardware and data, number of shots not given beside them",
}  # fmt: skip
RECIPE: dict[str, Any] = {"batch_size": 16, "micro_batch_size": 16, "holdout": 0.0, "learning_rate": 1e-3}
STEPS, EPOCHS = 12, 1.0
"""Steps of one training, so many that what surrounds them hardly counts, and its epochs."""


def backbone_of(decoder: str, device: torch.device) -> Backbone:
    """Return the embedded backbone with a text decoder of another size, projector and decoder at random weights."""
    embedded = load_backbone("embedded", device=device)
    config: Any = copy.deepcopy(embedded.model.config)
    values = {**DECODERS[decoder], "vocab_size": config.text_config.vocab_size}
    config.text_config = AutoConfig.for_model(values.pop("model_type"), **values)
    torch.manual_seed(0)
    model = type(embedded.model)._from_config(config, dtype=embedded.model.dtype)
    model.generation_config = embedded.model.generation_config
    model = model.to(device).requires_grad_(False).eval()
    return replace(embedded, model=model, name=f"embedded with {decoder}", revision=f"random:{decoder}")


def training(backbone: Backbone, examples: list[Example], method: str, **options: Any) -> Callable[[], None]:
    """Return a call that trains an adapter to the end, in a folder that is removed afterwards.

    ``options`` are those of ``hificl.train``; ``steps`` among them ends it sooner.
    """

    def call() -> None:
        with tempfile.TemporaryDirectory() as folder:
            train(
                backbone, examples, method=method, recipe="plain", output_dir=folder, epochs=EPOCHS, **RECIPE, **options
            )

    return call


def measure(bench: Bench) -> Iterator[Measurement]:
    """Count and time every method, for each decoder; MimIC once per number of shots."""
    support = list(TASKS["easy_vqa"].load().support)
    for name in bench.decoders:
        backbone = backbone_of(name, bench.device)
        # A teacher never shows the example itself, so there is one example more than demonstrations.
        count = max(RECIPE["batch_size"] * (1 if bench.quick else STEPS), *(shots + 1 for shots in bench.sizes))
        examples = support[:count]
        calls = {"hificl": training(backbone, examples, "hificl"), "lora": training(backbone, examples, "lora")}
        for shots in bench.sizes:
            calls[f"mimic {shots} shots"] = training(backbone, examples, "mimic", teacher="mse", teacher_shots=shots)
        flops = {}
        for method, call in calls.items():
            bench.note(f"{name}: {method}, counted")
            flops[method] = count_flops(call)
        effort = Effort(1, 1, 0.0) if bench.quick else EFFORT
        bench.note(f"{name}: timed, {effort.least} times each")
        timings = in_turns(calls, clock=bench.clock, effort=effort, warm_up=False)
        comparisons = []
        for method in list(calls)[2:]:
            faster, fewer = timings.ratio(method, "hificl"), flops[method] / flops["hificl"]
            comparisons += [
                Comparison(
                    "time ratio over FLOP ratio", method, "hificl", faster.over(fewer),
                    target=None if bench.quick else TARGET, note="a try is mostly start-up" if bench.quick else "",
                ),
                Comparison("time", method, "hificl", faster),
                Comparison("FLOPs", method, "hificl", ratio_of(flops[method], flops["hificl"])),
            ]  # fmt: skip
        comparisons.append(Comparison("time", "lora", "hificl", timings.ratio("lora", "hificl")))
        sizes = {"decoder": name, "examples": count, "epochs": EPOCHS, "batch": RECIPE["batch_size"]}
        yield Measurement(
            SCRIPT.name, {**sizes, "shots": list(bench.sizes)}, bench.clock.name, tuple(comparisons),
            {method: timings.spread(method) for method in calls}, flops=flops, published=PUBLISHED,
        )  # fmt: skip


SCRIPT = Script(
    "teacher_training", __doc__, measure, size_is="demonstrations of the teacher", sizes=(8, 16, 32), quick_sizes=(2,),
    decoders=("medium",), cuda_decoders=("llava-interleave",), quick_decoders=("tiny",),
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run(SCRIPT))
