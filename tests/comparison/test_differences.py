"""Differences to HiFICL: over seeds per query, paired, adjusted for their number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hificl.cell import Cell, Finished
from hificl.comparison.differences import score_differences
from hificl.statistics import holm, paired_test, t_interval

IDS = [f"q{number}" for number in range(9)]


def cell(method: str, scores: list[float]) -> Finished:
    predictions = [{"id": name, "score": score} for name, score in zip(IDS, scores, strict=True)]
    # In another order than the other cells: queries are matched by id.
    record = {"results": {"scale": 100.0, "predictions": predictions[::-1] if method == "lora" else predictions}}
    return Finished(Cell(method), record, Path())


GOOD, BAD, MIXED = [1.0] * 9, [0.0] * 9, [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0]


def by_name(finished: dict[str, dict[int, Finished]], ids: list[str] = IDS) -> dict[str, dict[str, Any]]:
    return {row["variant"]: row for row in score_differences(finished, "all", ids)}


def test_scores_of_a_query_are_averaged_over_the_seeds_first() -> None:
    rows = by_name(
        {
            "lora": {0: cell("lora", GOOD), 1: cell("lora", MIXED)},
            "hificl": {0: cell("hificl", GOOD), 1: cell("hificl", BAD)},
        }
    )
    items = [100.0 * (1.0 + value) / 2 for value in MIXED]
    expected = paired_test(items, [50.0] * 9)
    lora = rows["lora"]
    assert lora["score"] == pytest.approx(sum(items) / 9)
    assert lora["seed_scores"] == pytest.approx([100.0, 100 * 6 / 9])
    assert lora["seed_sd"] == pytest.approx((100 / 3) / 2**0.5)
    assert lora["seed_ci95"] == pytest.approx(list(t_interval([100.0, 100 * 6 / 9])))
    assert lora["difference_seed_ci95"] == pytest.approx(list(t_interval([0.0, 100 * 6 / 9])))
    assert lora["difference"] == pytest.approx(expected.difference)
    assert lora["difference_ci95"] == pytest.approx(list(expected.ci95))
    assert lora["p_value"] == expected.p_value
    assert (rows["hificl"]["difference"], rows["hificl"]["p_value"], rows["hificl"]["score"]) == (None, None, 50.0)


def test_p_values_are_adjusted_over_the_methods() -> None:
    hificl = {0: cell("hificl", GOOD)}
    rows = by_name({"icl": {0: cell("lora", BAD)}, "lora": {0: cell("lora", MIXED)}, "hificl": hificl, "live": {}})
    p_values = [rows[name]["p_value"] for name in ("icl", "lora")]
    assert [rows[name]["p_holm"] for name in ("icl", "lora")] == holm(p_values)
    assert rows["icl"]["p_holm"] > rows["icl"]["p_value"]


def test_only_seeds_of_both_are_compared() -> None:
    rows = by_name({"lora": {0: cell("lora", BAD), 3: cell("lora", GOOD)}, "hificl": {3: cell("hificl", GOOD)}})
    assert (rows["lora"]["score"], rows["lora"]["difference"], rows["lora"]["p_value"]) == (50.0, 0.0, 1.0)


@pytest.mark.parametrize("others", [{}, {"hificl": {}}])
def test_a_hole_is_no_zero(others: dict[str, dict[int, Finished]]) -> None:
    row = by_name({"lora": {}, **others})["lora"]
    unknown = ("score", "score_ci95", "seed_sd", "difference", "difference_ci95", "p_value", "p_holm")
    assert {name: row[name] for name in unknown} == dict.fromkeys(unknown)
    alone = by_name({"lora": {0: cell("lora", GOOD)}, **others})["lora"]
    assert (alone["score"], alone["difference"]) == (100.0, None)


def test_a_subset_has_its_own_queries() -> None:
    rows = by_name({"lora": {0: cell("lora", MIXED)}, "hificl": {0: cell("hificl", GOOD)}}, ["q1", "q4", "q8"])
    assert (rows["lora"]["score"], rows["lora"]["items"]) == (pytest.approx(100 / 3), 3)
    assert rows["lora"]["difference"] == pytest.approx(-200 / 3)
    assert by_name({"lora": {0: cell("lora", MIXED)}}, [])["lora"]["score"] is None
