"""A step reads nothing back from the device: whatever depends on the contents of a batch was found before it left."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import hificl
from hificl.backbones import Backbone
from hificl.data import Example
from hificl.training import aside, train, trainer
from hificl.training.aside import on_cpu, take_aside, with_aside
from hificl.training.loss import IGNORED
from hificl.training.trainer import AnswerTrainer

PACKAGE = Path(hificl.__file__).parent

READING = ("item", "tolist", "numpy", "cpu", "nonzero", "__bool__", "__float__", "__int__", "__index__")
"""Methods of a tensor that wait for its contents, or for their number."""

COUNTING = ("aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::repeat_interleave.Tensor")

ON_THE_CPU = {("positions.py", "__call__"), ("vision_features.py", "_key")}
"""The first asks on a CPU only, the second reads what came from the CPU."""

RUNS: dict[str, dict[str, Any]] = {
    "hificl": {},
    "lora": {"method": "lora"},
    "layers of a teacher": {"method": "mimic", "teacher": "mse", "teacher_shots": 2},
    "answers of a teacher": {"method": "live", "teacher": "kl", "teacher_shots": 2},
    "branches": {"method": "m2iv", "teacher": "cosine", "teacher_shots": 2, "synergy_weight": 0.1},
}


def caller() -> tuple[str, str] | None:
    """File and function of ours that called torch, None where somebody else did."""
    frame = sys._getframe(2)
    while "/torch/" in frame.f_code.co_filename or frame.f_code.co_filename == __file__:
        assert frame.f_back is not None
        frame = frame.f_back
    place = Path(frame.f_code.co_filename)
    return (place.name, frame.f_code.co_name) if place.is_relative_to(PACKAGE) else None


class Methods(TorchFunctionMode):
    """Notes the methods in ``READING`` that our code calls."""

    def __init__(self, found: list[tuple[str, str, str]]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        place = caller() if getattr(func, "__name__", "") in READING else None
        if place is not None and place not in ON_THE_CPU:
            self.found.append((func.__name__, *place))
        return func(*args, **(kwargs or {}))


class Operators(TorchDispatchMode):
    """Notes the operators that count, among them an index of booleans."""

    def __init__(self, found: list[tuple[str, str, str]]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        indices = args[1] if func.name() in ("aten::index.Tensor", "aten::index_put", "aten::index_put_") else ()
        counts = any(isinstance(one, Tensor) and one.dtype == torch.bool for one in indices)
        place = caller() if counts or func.name() in COUNTING else None
        if place is not None and place not in ON_THE_CPU:
            self.found.append((func.name(), *place))
        return func(*args, **(kwargs or {}))


def elsewhere(value: Any) -> Any:
    """Copy tensors, as a move to a GPU does: what is known of the originals is not known of the copies."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, Mapping):
        return {name: elsewhere(one) for name, one in value.items()}
    return [elsewhere(one) for one in value] if isinstance(value, list) else value


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """What our code reads in the steps of a run, forward and backward."""
    found: list[tuple[str, str, str]] = []
    step = AnswerTrainer.training_step

    def watched(self: AnswerTrainer, model: Any, inputs: Any, *rest: Any) -> Tensor:
        moved = elsewhere(inputs)
        with Methods(found), Operators(found):
            return step(self, model, moved, *rest)

    monkeypatch.setattr(AnswerTrainer, "training_step", watched)
    return found


@pytest.mark.parametrize("name", RUNS)
def test_steps_read_nothing_back(
    backbone: Backbone, examples: list[Example], tmp_path: Path, readings: list[tuple[str, str, str]], name: str
) -> None:
    train(backbone, examples, output_dir=tmp_path, steps=2, **RUNS[name])
    assert readings == []


def test_without_what_lies_aside_they_would(
    backbone: Backbone,
    examples: list[Example],
    tmp_path: Path,
    readings: list[tuple[str, str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same run, watched the same way: so the test above can fail."""
    monkeypatch.setattr(trainer, "AsideBatches", lambda collate: collate)
    train(backbone, examples, output_dir=tmp_path, steps=1)
    assert {("cpu", "aside.py", "on_cpu"), ("nonzero", "loss.py", "answer_places")} <= set(readings)


def test_aside_says_where_answers_stand_and_where_tensors_came_from() -> None:
    labels = torch.full((3, 7), IGNORED)
    labels[0, 5:], labels[2, 3:5] = torch.tensor([8, 2]), torch.tensor([6, 9])
    batch = with_aside({"labels": labels, "pixel_values": torch.rand(3, 2), "use_cache": False})
    moved = elsewhere(batch)
    places = take_aside(moved)
    assert places is not None
    assert places.tolist() == [[0, 4], [0, 5], [2, 2], [2, 3]]
    assert moved.keys() == {"labels", "pixel_values", "use_cache"}
    assert on_cpu(moved["pixel_values"]) is batch["pixel_values"]
    assert torch.equal(on_cpu(other := torch.rand(4)), other)
    remembered = len(aside._sources)
    del moved
    assert len(aside._sources) < remembered, "the batch is kept"


def test_aside_of_a_batch_that_stays_is_not_remembered() -> None:
    batch = with_aside({"labels": torch.full((2, 3), IGNORED)})
    remembered = len(aside._sources)
    take_aside(batch)
    assert len(aside._sources) == remembered
    assert take_aside(batch) is None
