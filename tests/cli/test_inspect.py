"""``hificl inspect``: an adapter as text and as JSON."""

from __future__ import annotations

from pathlib import Path

from .conftest import Hificl, parsed


def test_geometry_base_and_size_are_shown(hificl: Hificl, trained: Path, model: Path) -> None:
    told = parsed(hificl("inspect", trained, "--json"))
    assert told["base"]["name"] == str(model)
    shown = hificl("inspect", trained).stdout
    assert told["base"]["revision"] in shown
    assert f"{told['parameters']:,} parameters" in shown
    assert "num_virtual_tokens=5, r=3" in shown
    assert "modules below model.language_model.layers" in shown
    assert "1.self_attn" in shown
    assert f"{told['layers'][0]['key_norm']:.3f}" in shown


def test_a_folder_without_adapter_is_refused(hificl: Hificl, tmp_path: Path) -> None:
    result = hificl("inspect", tmp_path)
    assert result.exit_code == 2
    assert f"{tmp_path}: no adapter_config.json" in result.stderr


def test_with_rows_the_real_mass_is_shown(hificl: Hificl, trained: Path, rows: Path) -> None:
    words = ["inspect", trained, "--data", rows / "rows.jsonl", "--queries", 3]
    told = parsed(hificl(*words, "--json"))
    assert told["parameters"] == parsed(hificl("inspect", trained, "--json"))["parameters"]
    mass = told["real_mass"]
    assert (mass["queries"], mass["virtual"], mass["tokens"]["image"]) == (3, 5, 3 * 16)
    shown = hificl(*words).stdout
    heads = mass["alpha"]["image"]["mean"][1]
    assert f"{sum(heads) / len(heads):.3f}" in shown
    first = mass["pairs"][0]
    assert f"{first['mass']:.3f}" in shown
    assert repr(first["says"][0][0]) in shown


def test_rows_need_virtual_pairs(hificl: Hificl, model: Path, rows: Path) -> None:
    words = ["train", "--method", "lora", "--model", model, "--data", rows / "rows.jsonl", "--output", "run", "steps=1"]
    assert hificl(*words).exit_code == 0
    result = hificl("inspect", "run", "--data", rows / "rows.jsonl")
    assert result.exit_code == 2
    assert "no virtual pairs are active" in result.stderr
