"""Batches follow what they were measured to take, shrink where memory ends, and leave a history."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from hificl.backbones import Backbone
from hificl.data import Example
from hificl.errors import RunError
from hificl.evaluation import estimate, evaluate, generate_answers, generation
from hificl.evaluation.batch_sizes import BatchSizes, meter_of

ROW, BASE = 100, 40
"""Bytes of a row and of a batch in the stand-in below."""


class Device:
    """Stands in for the memory of a device and for the model on it: a batch of r rows takes BASE + r ROW bytes."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.last, self.released = capacity, 0, 0
        self.batches: list[int] = []

    def run(self, rows: int) -> None:
        self.batches.append(rows)
        self.last = BASE + rows * ROW
        if self.last > self.capacity:
            raise torch.OutOfMemoryError("stand-in")

    def start(self) -> None:
        self.last = 0

    def used(self) -> int:
        return self.last

    def free(self) -> int:
        return self.capacity

    def release(self) -> None:
        self.released += 1


class Scripted(torch.nn.Module):
    """Answers "?" to every row, in the memory of a stand-in."""

    def __init__(self, device: Device) -> None:
        super().__init__()
        self.parameter = torch.nn.Parameter(torch.zeros(1))
        self.generation_config = SimpleNamespace(eos_token_id=[2])
        self.memory = device

    def generate(self, input_ids: Tensor, **options: Any) -> Tensor:
        self.memory.run(len(input_ids))
        return torch.cat([input_ids, input_ids.new_full((len(input_ids), 1), 2)], dim=1)


@pytest.fixture
def questions(examples: list[Example]) -> list[Example]:
    """41 queries."""
    return [Example(id=str(n), images=examples[0].images, question="why", answers=["so"]) for n in range(41)]


def answer(
    device: Device, first: int, backbone: Backbone, questions: list[Example], monkeypatch: pytest.MonkeyPatch,
    **options: Any,
) -> Any:  # fmt: skip
    """Answer all questions in the stand-in's memory, beginning with an estimate of ``first`` rows."""
    monkeypatch.setattr(generation, "meter_of", lambda _: device)
    monkeypatch.setattr(estimate, "LARGEST_BATCH", first)
    made = generate_answers(backbone, Scripted(device), questions, **options)
    assert made.texts == [""] * len(questions)
    return made


def test_sizes_grow_to_what_is_measured_to_fit(
    backbone: Backbone, questions: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(capacity=2000)
    made = answer(device, 4, backbone, questions, monkeypatch)
    # 4 rows took 440 of 1600 allowed bytes: 14 would fit, twice as many are dared. 8 took 840: 15 fit.
    assert device.batches == [4, 8, 15, 14]
    first, second, third = made.batches
    assert (first["answered"], first["size"], first["why"], first["used_bytes"]) == (0, 4, "estimated", 440)
    assert (second["answered"], second["size"], second["used_bytes"]) == (4, 8, 840)
    assert second["why"] == "measured: 14 would take the 1600 bytes that are allowed"
    assert (third["answered"], third["size"], third["used_bytes"]) == (12, 15, 1540)


def test_sizes_shrink_before_memory_ends(
    backbone: Backbone, questions: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(capacity=1100)
    made = answer(device, 10, backbone, questions, monkeypatch)
    # 10 rows took 1040 of 880 allowed bytes.
    assert device.batches == [10, 8, 8, 8, 7]
    assert [entry["size"] for entry in made.batches] == [10, 8]
    assert made.smallest_batch == 8


def test_memory_that_ends_in_the_first_batch(
    backbone: Backbone, questions: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(capacity=900)
    made = answer(device, 20, backbone, questions, monkeypatch)
    # 20 and 10 are too many. 5 took 540 of 720 allowed bytes, so 6 fit, and 6 took 640.
    assert device.batches == [20, 10, 5] + [6] * 6
    assert device.released == 2
    assert [(entry["answered"], entry["size"], entry["why"]) for entry in made.batches[:3]] == [
        (0, 20, "estimated"),
        (0, 10, "memory did not hold 20"),
        (0, 5, "memory did not hold 10"),
    ]
    assert made.batches[1]["used_bytes"] is None


def test_memory_that_ends_in_the_middle(
    backbone: Backbone, questions: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else takes memory after the second batch: what failed is never tried again."""
    device = Device(capacity=2000)
    run = device.run

    def crowded(rows: int) -> None:
        device.capacity = 1000 if len(device.batches) >= 2 else 2000
        run(rows)

    monkeypatch.setattr(device, "run", crowded)
    made = answer(device, 4, backbone, questions, monkeypatch)
    assert device.batches == [4, 8, 15, 7, 7, 7, 7, 1]
    assert made.batches[3] == {"answered": 12, "size": 7, "why": "memory did not hold 15", "used_bytes": 740}


def test_memory_that_does_not_hold_one(
    backbone: Backbone, questions: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(capacity=BASE)
    with pytest.raises(RunError, match=r"sample '0': its \d+ tokens do not fit"):
        answer(device, 3, backbone, questions, monkeypatch)
    assert device.batches == [3, 1]


def test_a_size_that_was_named_is_kept_while_it_fits(
    backbone: Backbone, questions: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(capacity=1000)
    made = answer(device, 64, backbone, questions, monkeypatch, batch_size=5)
    assert device.batches == [5] * 8 + [1]
    assert made.batches == [{"answered": 0, "size": 5, "why": "given", "used_bytes": 540}]
    device = Device(capacity=500)
    answer(device, 64, backbone, questions, monkeypatch, batch_size=5)
    assert device.batches == [5] + [2] * 20 + [1]


def after(sizes: BatchSizes, device: Device, rows: int) -> int:
    """The size that follows a batch."""
    sizes.start()
    device.run(rows)
    sizes.fitted(rows, answered=rows)
    return sizes.size


def test_no_batch_is_larger_than_the_cap_or_than_what_failed() -> None:
    device = Device(capacity=10**9)
    sizes = BatchSizes(40, "estimated", meter=device, fixed=False)
    assert after(sizes, device, 40) == 64
    sizes.failed(10, answered=40)
    assert [after(sizes, device, rows) for rows in (5, 9)] == [9, 9]


def test_a_last_batch_that_is_short_says_nothing_against_the_size() -> None:
    device = Device(capacity=2000)
    sizes = BatchSizes(8, "estimated", meter=device, fixed=False)
    assert after(sizes, device, 1) == 8
    assert len(sizes.history) == 1


def test_on_a_cpu_the_size_follows_from_a_fixed_budget(backbone: Backbone, examples: list[Example]) -> None:
    """So that the same evaluation makes the same batches."""
    assert meter_of(torch.device("cpu")) is None
    record = evaluate(backbone, examples, max_new_tokens=2).record
    memory = record["volatile"]["memory"]
    assert memory["batches"] == [{"answered": 0, "size": 7, "why": "estimated", "used_bytes": None}]
    assert (memory["batch_size"], memory["smallest_batch_size"]) == (7, 7)
    assert "compile" not in record["config"]
