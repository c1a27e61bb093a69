"""The screening of a recipe: ranks by hand, who goes on, and what is said about the rival."""

from __future__ import annotations

from pathlib import Path

from reporting import fake_results
from reporting.reading_sections import row_of, said, section_of


def test_candidates_are_ranked_within_their_rung(tmp_path: Path) -> None:
    section = section_of(fake_results.screening_grid, tmp_path)
    first, second = section.tables
    # Of 0.02 a seed is missing; lora is no candidate.
    order = ["HiFICL, learning_rate = 0.01", "HiFICL", "HiFICL, learning_rate = 0.002", "LoRA"]
    assert [row[0].text for row in first.rows] == order
    assert row_of(first, "HiFICL, learning_rate = 0.01")[-2:] == ["1.0", "goes on"]
    assert row_of(first, "HiFICL")[-2:] == ["2.0", "goes on"]
    assert row_of(first, "HiFICL, learning_rate = 0.002")[-2:] == ["3.0", "dropped"]
    # Two ranks of 1.5 and two of 1 and 2.
    assert [row[-2].text for row in second.rows] == ["1.2", "1.8"]


def test_the_rival_is_said_beside_them(tmp_path: Path) -> None:
    facts = said(section_of(fake_results.screening_grid, tmp_path))
    assert facts[0] == (
        "Rung of 100 steps, 3 candidates, mean rank: first are HiFICL, learning_rate = 0.01 (1.0), HiFICL (2.0), "
        "HiFICL, learning_rate = 0.002 (3.0); without a change HiFICL is at place 2."
    )
    assert facts[1] == "Rung of 100 steps, easy-VQA: LoRA has 68.0 [66.5, 69.5]; 1 of 3 candidates have more."
