"""``hificl doctor``: what is there, what is missing, and the remedy."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from hificl.backbones import source

from .conftest import Hificl, parsed


def test_a_whole_installation(hificl: Hificl, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIFICL_CACHE", str(tmp_path))
    monkeypatch.setattr(source, "EMBEDDED_FOLDER", model)
    result = hificl("doctor", "--json")
    found = parsed(result)
    assert result.exit_code == 0
    assert found["missing"] == []
    assert found["versions"]["peft"] is not None
    assert found["kernels"]["cpu float32, with mask"] == "cpu-flash"
    assert {case: way for case, way in found["merges"].items() if "float32" in case} == {
        "cpu float32, pairs, from 512 tokens": "products in parts",
        "cpu float32, pairs, below 512 tokens": "separate products",
        "cpu float32, pairs, one new token": "one more call of cpu-flash",
    }
    assert found["merges"]["cpu bfloat16, pairs, one new token"] == "separate products"
    assert set(found["reasons"]) == {*found["kernels"], *found["merges"]}
    assert found["packages"]["flash_attn 2"] == "the package flash-attn is not installed"
    assert found["packages"]["flash_attn 3"] == "the package flash-attn-3 is not installed"
    assert found["packages"]["flex_attention"].startswith("part of torch")
    assert found["tasks"]["easy_vqa"] == "300 support, 500 query examples"
    assert found["tasks"]["capitals"] == "not fetched (hificl data fetch capitals)"
    assert found["embedded"]["revision"].startswith("content:")
    assert "Everything is here." in hificl("doctor").stdout


def test_a_broken_model_and_missing_data_are_named(
    hificl: Hificl, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(model, tmp_path / "embedded")
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-13])
    monkeypatch.setattr(source, "EMBEDDED_FOLDER", copy)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "easy_vqa" else find(name, *rest)
    )
    result = hificl("doctor", "--json")
    assert result.exit_code == 2
    missing = {item["what"]: item["remedy"] for item in parsed(result)["missing"]}
    assert len(missing) == 2
    assert any("model.safetensors: the file has" in what for what in missing)
    assert "pip install easy-vqa==1.0" in missing.values()
    assert "Remedy: pip install easy-vqa==1.0" in hificl("doctor").stdout
