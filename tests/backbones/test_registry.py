"""The families by name and by config."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hificl.backbones import BACKBONES, family_of


def test_every_family_stands_under_its_own_name() -> None:
    assert {"embedded", "idefics", "idefics2", "llava-interleave", "qwen3-vl"} <= BACKBONES.keys()
    assert all(name == family.name and family.description for name, family in BACKBONES.items())


@pytest.mark.parametrize("pixels, name", [(64, "embedded"), (384, "llava-interleave"), (48, "llava")])
def test_llavas_are_told_apart_by_their_image_size(pixels: int, name: str) -> None:
    config = {"model_type": "llava", "text_config": {"model_type": "qwen2"}, "vision_config": {"image_size": pixels}}
    assert family_of(config, "<image>").name == name


@pytest.mark.parametrize("name", ["idefics", "idefics2", "llava-interleave", "qwen3-vl", "smollm2", "smolvlm"])
def test_a_family_matches_its_own_geometry_only(name: str) -> None:
    assert family_of(BACKBONES[name].geometry, "<image>") is BACKBONES[name]


@pytest.mark.parametrize("model_type", ["idefics3", "smolvlm"])
def test_both_names_of_the_smolvlm_classes_are_one_family(model_type: str) -> None:
    assert family_of({"model_type": model_type}, "<image>") is BACKBONES["smolvlm"]


def test_other_models_get_their_image_mark_in_a_plain_form_and_the_chat_form_first() -> None:
    family = family_of({"model_type": "new_vl"}, "<|pic|>")
    assert family.name == "new-vl"
    assert family.prompt.chat
    assert family.plain_prompt is not None
    assert family.plain_prompt.image == "<|pic|>"


def test_families_are_listed_without_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['transformers'] = None\n"
        "from hificl.backbones import BACKBONES; print(len(BACKBONES))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(BACKBONES)
