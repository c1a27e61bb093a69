"""Rows: what identifies one, what it holds, and that writing it replaces only itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.measure import Spread
from benchmarks.rows import Comparison, Measurement, Target, ratio_of, read_rows, record_path, write_row

VALUE = Spread(1.04, 1.01, 1.08, 7)


def measurement(tokens: int = 96, *, target: Target | None = None, value: Spread = VALUE) -> Measurement:
    comparison = Comparison("time", "hificl", "plain", value, target=target)
    seconds = {"hificl": Spread(1.04, 1.0, 1.1, 7), "plain": Spread(1.0, 1.0, 1.0, 7)}
    return Measurement("padded_step", {"tokens": tokens}, "processor time", (comparison,), seconds, {"plain": 17})


@pytest.mark.parametrize(
    ("target", "met"),
    [(None, None), (Target(1.04), True), (Target(1.03), False),
     (Target(1.0, at_least=True), True), (Target(1.05, at_least=True), False)],
)  # fmt: skip
def test_a_target_is_held_against_the_median(target: Target | None, met: bool | None) -> None:
    assert Comparison("time", "hificl", "plain", VALUE, target=target).met is met


def test_a_record_says_what_was_measured_where_and_when() -> None:
    record = measurement(target=Target(1.05)).record()
    assert record["config"]["settings"] == {"tokens": 96}
    assert record["config"]["device"] == "cpu"
    assert record["config"]["hardware"]
    assert record["environment"]["torch"]
    assert record["environment"].keys() >= {"commit", "transformers", "peft"}
    (comparison,) = record["volatile"]["comparisons"]
    assert comparison["value"] == {"median": 1.04, "low": 1.01, "high": 1.08, "count": 7}
    assert comparison["target"] == {"bound": 1.05, "at_least": False}
    assert comparison["met"] is True
    assert record["volatile"]["timing"]["plain"]["median"] == 1.0
    assert record["volatile"]["memory"]["peak_bytes"] == {"plain": 17}
    assert record["volatile"]["date"]
    assert record["volatile"]["host"]["cores"]


def test_what_was_timed_does_not_identify_a_row() -> None:
    first, second = (measurement(value=value).record() for value in (VALUE, Spread(2.0, 2.0, 2.0, 1)))
    assert first["volatile"] != second["volatile"]
    assert record_path(first, Path("x")) == record_path(second, Path("x"))


def test_setting_and_hardware_identify_a_row() -> None:
    first, second = measurement(96).record(), measurement(97).record()
    other = {**first, "config": {**first["config"], "hardware": "another machine"}}
    assert len({record_path(record, Path("x")) for record in (first, second, other)}) == 3


def test_a_later_run_takes_the_place_of_its_own_row_alone(tmp_path: Path) -> None:
    write_row(measurement(96).record(), tmp_path)
    other = write_row(measurement(97).record(), tmp_path)
    again = write_row(measurement(96, value=Spread(3.0, 3.0, 3.0, 1)).record(), tmp_path)
    rows = dict(read_rows(tmp_path))
    assert set(rows) == {other, again}
    assert rows[again]["volatile"]["comparisons"][0]["value"]["median"] == 3.0
    assert again.parent.name == "padded_step"


def test_a_counted_ratio_has_no_spread() -> None:
    assert ratio_of(3.0, 2.0) == Spread(1.5, 1.5, 1.5, 1)
