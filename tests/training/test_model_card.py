from __future__ import annotations

from pathlib import Path

import pytest

from hificl.errors import InputError
from hificl.training.model_card import add_scores, model_card

RECORD = {
    "config": {
        "backbone": {"name": "some/model", "revision": "abc"}, "method": "hificl",
        "recipe": {"batch_size": 4, "learning_rate": 0.02},
        "data": {"examples": 300, "hash": "0123456789abcdef0123"},
        "peft": {"num_virtual_tokens": 5, "r": 3, "share": "kv"},
    },
    "seed": 7,
    "results": {"trainable_parameters": 12345, "steps": 75, "held_out_loss": None},
    "environment": {"hificl": "0.1.0"},
}  # fmt: skip


def test_card_says_data_size_and_use() -> None:
    card = model_card(RECORD, takes_images=True)
    assert card.startswith('---\nbase_model: "some/model"\nlibrary_name: "peft"\npipeline_tag: "image-text-to-text"\n')
    for part in (
        "300 (hash 0123456789abcdef)",
        "12,345",
        "revision abc",
        "| peft: num_virtual_tokens | 5 |",
        "| seed | 7 |",
    ):
        assert part in card
    assert "No score was measured" in card
    assert 'pipeline_tag: "text-generation"' in model_card(RECORD, takes_images=False)


def test_scores_replace_those_that_stand_there(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(model_card(RECORD, takes_images=True))
    add_scores(tmp_path, {"first": 1.0})
    add_scores(tmp_path, {"exact match, 500 questions": 71.234})
    card = (tmp_path / "README.md").read_text()
    assert "| exact match, 500 questions | 71.23 |" in card
    assert "first" not in card
    assert "No score" not in card
    assert card.count("## Scores") == 1
    assert "## Training" in card


def test_folder_without_a_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"README\.md: no model card"):
        add_scores(tmp_path, {"first": 1.0})
