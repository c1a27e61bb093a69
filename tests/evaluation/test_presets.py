"""Generation presets: the most special entry of a protocol counts."""

from __future__ import annotations

import dataclasses

import pytest

from hificl.backbones import BACKBONES, Backbone
from hificl.errors import InputError
from hificl.evaluation import PRESETS, Decoding, find_decoding


@pytest.mark.parametrize(
    "preset, family, kind, found",
    [
        ("default", "idefics2", "caption", (1, None, 1.0)),
        ("hificl", "idefics2", "vqa", (1, 20, 0.0)),
        ("hificl", "idefics", "caption", (1, 20, 0.0)),
        ("hificl", "llava-interleave", "vqa", (3, 20, 0.0)),
        ("hificl", "qwen3-vl", "yes_no", (3, 20, 0.0)),
        ("mimic", "idefics2", "vqa", (3, 10, 0.0)),
        ("mimic", "idefics2", "caption", (3, 20, 0.0)),
        ("live", "idefics", "vqa", (3, 5, 0.0)),
        ("stave", "idefics2", "vqa", (3, 20, 1.0)),
    ],
)
def test_numbers_of_the_published_code(
    backbone: Backbone, preset: str, family: str, kind: str, found: tuple[int, int | None, float]
) -> None:
    other = dataclasses.replace(backbone, family=BACKBONES[family])
    assert dataclasses.astuple(find_decoding(preset, other, kind)) == found


def test_every_preset_says_whose_it_is() -> None:
    assert all(preset.description for preset in PRESETS.values())


def test_unknown_preset(backbone: Backbone) -> None:
    with pytest.raises(InputError, match="'paper' is unknown; known are default, hificl, stave, mimic, live"):
        find_decoding("paper", backbone)


@pytest.mark.parametrize("field", ["num_beams", "max_new_tokens"])
def test_nothing_below_one(field: str) -> None:
    with pytest.raises(InputError, match=f"{field} is 0; give 1 or more"):
        Decoding(**{field: 0})
