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
