"""``hificl export``: a prefix where one is exact, a reason where not."""

from __future__ import annotations

from pathlib import Path

from .conftest import Hificl, parsed


def test_pairs_per_query_head_are_refused_with_the_reason(hificl: Hificl, trained: Path, tmp_path: Path) -> None:
    result = hificl("export", trained, "--output", tmp_path / "prefix")
    assert result.exit_code == 2
    assert "no score offsets. Train with recipe='plain' and share='kv' for an adapter to export" in result.stderr
    assert not (tmp_path / "prefix").exists()


def test_shared_pairs_become_a_prefix(hificl: Hificl, model: Path, rows: Path, tmp_path: Path) -> None:
    words = ["--model", model, "--data", rows / "rows.jsonl", "steps=2", "n=3", "share=kv", "recipe=plain"]
    assert hificl("train", *words, "--output", "run").exit_code == 0
    told = parsed(hificl("export", "run", "--format", "peft-prefix", "--output", "prefix", "--json"))
    assert told["num_virtual_tokens"] == 3
    assert (tmp_path / "prefix" / "adapter_model.safetensors").is_file()
    again = hificl("export", "run", "--output", "prefix")
    assert again.exit_code == 2
    assert "prefix: already there and not empty" in again.stderr
