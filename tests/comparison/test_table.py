"""Numbers as a reader sees them."""

from __future__ import annotations

from typing import Any

import pytest

from hificl.comparison.page import as_markdown
from hificl.comparison.table import table_lines


def row(method: str, seed: int, error: str | None = None, **known: Any) -> dict[str, Any]:
    names = (
        "trainable_parameters",
        "stored_bytes",
        "train_seconds",
        "seconds_per_answer",
        "peak_memory_bytes",
        "shots",
    )
    return {
        "method": method, "variant": None, "subset": "all", "seed": seed, "error": error,
        **dict.fromkeys(names), **known,
    }  # fmt: skip


def compared(
    variant: str, score: float | None, difference: float | None = None, p: float | None = None
) -> dict[str, Any]:
    return {
        "variant": variant, "subset": "all", "score": score,
        "score_ci95": None if score is None else [score - 0.02, score + 0.02], "difference": difference,
        "difference_ci95": None if difference is None else [difference - 1, difference + 1], "p_holm": p,
    }  # fmt: skip


def summary(scale: float = 100.0) -> dict[str, Any]:
    costs: dict[str, Any] = {"trainable_parameters": 1234, "stored_bytes": 5600, "seconds_per_answer": 0.25, "shots": 0}
    return {
        "task": "colours", "backbone": "tiny", "train_size": 7, "query_size": 4, "seeds": [0, 1], "metric": "cider",
        "scale": scale, "headline": "all", "revision": "content:1",
        "values": {"source": "defaults", "record": None, "revision": None, "options": {"lora": {}, "hificl": {}}},
        "rows": [
            row("lora", 0, train_seconds=10.0, peak_memory_bytes=3e6, **costs),
            row("lora", 1, train_seconds=20.0, peak_memory_bytes=8e6, **costs),
            row("hificl", 0, error="RunError: a | b"),
            row("hificl", 1, train_seconds=3.0, peak_memory_bytes=1e6, **costs),
        ],
        "comparisons": [compared("lora", 1.25, -0.5, 0.0004), compared("hificl", 1.75)],
    }  # fmt: skip


def test_costs_are_means_over_seeds_and_memory_the_largest() -> None:
    lora, hificl = table_lines(summary())
    assert lora.cells == ("lora", "1,234", "6", "15", "1.2 [1.2, 1.3]", "-0.5 [-1.5, 0.5]", "< 0.001", "250", "8")
    assert hificl.cells[3:7] == ("3", "1.8 [1.7, 1.8]", "", "")
    assert hificl.errors == ("hificl, seed 0: RunError: a | b",)


def test_raw_scores_keep_their_digits() -> None:
    assert table_lines(summary(scale=1.0))[0].cells[4] == "1.2500 [1.2300, 1.2700]"


def test_the_page_says_what_is_missing_and_where_values_come_from() -> None:
    page = as_markdown(summary())
    assert "- hificl, seed 0: RunError: a \\| b" in page
    assert "the defaults; none were searched" in page
    assert "averaged over the seeds" in page
    assert "One seed" not in page


@pytest.mark.parametrize(
    "source, said", [("search", "of this comparison"), ("stored", "chose before (results/s.json)")]
)
def test_the_source_of_the_values_is_named(source: str, said: str) -> None:
    values = {
        "source": source,
        "record": "results/s.json",
        "revision": "content:1",
        "options": {"lora": {}, "hificl": {}},
    }
    page = as_markdown({**summary(), "values": values})
    assert said in page
    assert "not used on this one" not in page


def test_values_of_another_revision_are_told_and_not_claimed() -> None:
    values = {**summary()["values"], "record": "results/s.json", "revision": "content:9"}
    page = as_markdown({**summary(), "values": values})
    assert "stored for revision content:9 of the model (results/s.json); they were not used on this one" in page
    assert "the defaults; none were searched" in page
