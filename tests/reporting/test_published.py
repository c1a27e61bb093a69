"""The published numbers: form, ranges, sources, and no number twice."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from hificl.errors import InputError
from hificl.reporting.published import FILE, published, units

NUMBERS = published()
PERCENT = {"vqa_accuracy", "yes_no_accuracy", "choice_accuracy", "accuracy", "roc_auc", "chair_i", "chair_s", "recall"}


def value(
    paper: str,
    method: str,
    metric: str,
    *,
    task: str = "coco_captions",
    shots: int = 0,
    model: str = "idefics2-8b-base",
    grid: str = "main",
) -> float:
    found = [
        one.value
        for one in NUMBERS
        if (one.grid, one.source.paper, one.method, one.metric, one.task, one.shots, one.model)
        == (grid, paper, method, metric, task, shots, model)
    ]
    assert len(found) == 1, found
    return found[0]


def test_no_number_is_there_twice() -> None:
    keys = Counter(
        (one.grid, one.source.text, one.model, one.task, one.method, one.shots, one.metric) for one in NUMBERS
    )
    assert len(NUMBERS) == 311
    assert max(keys.values()) == 1


@pytest.mark.parametrize("one", NUMBERS, ids=lambda one: f"{one.source.paper}-{one.method}-{one.task}-{one.metric}")
def test_every_number_has_a_source_a_unit_and_a_possible_value(one) -> None:  # type: ignore[no-untyped-def]
    assert one.source.paper
    assert one.source.table
    assert one.metric in units()
    assert one.source.first_hand == (one.source.reprinted_by is None)
    assert one.printed
    assert one.value >= 0
    if one.metric in PERCENT:
        assert one.value <= 100
    if one.metric == "cider_d":
        assert 0.2 < one.value < 1.6


def test_numbers_that_stand_in_several_papers() -> None:
    assert value("HiFICL", "hificl", "cider_d") == 1.2951
    assert value("MimIC", "mimic", "cider_d") == 1.3287
    assert value("HiFICL", "mimic", "cider_d") == 1.2827
    assert value("STAVE", "icl", "vqa_accuracy", task="vqav2", shots=8) == 67.44
    notes = [
        one.note
        for one in NUMBERS
        if one.method == "mimic"
        and one.metric == "cider_d"
        and one.source.paper in ("HiFICL", "MimIC")
        and one.grid == "main"
        and one.model == "idefics2-8b-base"
    ]
    assert len(notes) == 2
    assert all(note and "inconsistent" in note for note in notes)


def test_printed_captions_are_the_value_or_a_hundred_times_it() -> None:
    for one in NUMBERS:
        if one.metric == "cider_d":
            printed = float(one.printed)
            assert printed == pytest.approx(one.value if printed < 2 else 100 * one.value, abs=1e-9)


def test_spreads_are_those_of_the_rerun() -> None:
    spreads = {(one.model, one.task): one.plus_minus for one in NUMBERS if one.plus_minus is not None}
    assert len(spreads) == 6
    assert spreads["idefics2-8b-base", "coco_captions"] == 0.0014


@pytest.mark.parametrize(("field", "wrong"), [("source", "nowhere"), ("metric", "guess")])
def test_a_number_without_a_known_source_or_unit_is_refused(tmp_path: Path, field: str, wrong: str) -> None:
    content = json.loads(FILE.read_text(encoding="utf-8"))
    content["numbers"][7][field] = wrong
    file = tmp_path / "published.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match=rf"number 7 has the {field} '{wrong}'"):
        published(file)
