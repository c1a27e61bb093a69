"""SmolVLM: one tile per image whatever its size, under both model types of its classes."""

from __future__ import annotations

import json

import pytest
import torch
from PIL import Image

from backbones import tiny_models
from hificl.backbones import BACKBONES, Backbone, collate, encode, load_backbone
from hificl.data import Example

TILE = 9 + 3
"""Features of a tile, the mark of the whole image, and one mark on each side."""


@pytest.fixture(scope="module", params=["idefics3", "smolvlm"])
def twin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    folder = tmp_path_factory.mktemp(request.param)
    tiny_models.save_smolvlm(folder, model_type=request.param)
    stored = json.loads((folder / "processor_config.json").read_text())
    stored["image_processor"]["do_image_splitting"] = True
    (folder / "processor_config.json").write_text(json.dumps(stored))
    return load_backbone(folder, device="cpu")


def asked(*sizes: tuple[int, int]) -> Example:
    return Example(id="q", images=[Image.new("RGB", size, "red") for size in sizes], question="?", answers=["red"])


def test_family_and_processor(twin: Backbone) -> None:
    assert twin.family is BACKBONES["smolvlm"]
    assert twin.processor.image_processor.do_image_splitting is False
    assert twin.takes_images


@pytest.mark.parametrize("sizes", [[(20, 20)], [(37, 90)], [(300, 30), (31, 33)]])
def test_an_image_of_any_size_is_one_tile(twin: Backbone, sizes: list[tuple[int, int]]) -> None:
    with_images, without = (encode(twin, example) for example in (asked(*sizes), asked()))
    assert with_images.length - without.length == TILE * len(sizes)
    assert with_images.inputs["pixel_values"].shape == (1, len(sizes), 3, 36, 36)


def test_the_image_reaches_the_answer(twin: Backbone) -> None:
    other = Example(id="q", images=[Image.new("RGB", (20, 20), "blue")], question="?", answers=[])
    with torch.no_grad():
        red, blue = (
            twin.model(**collate(twin, [encode(twin, example)])).logits[0, -1] for example in (asked((20, 20)), other)
        )
    assert not torch.allclose(red, blue, atol=1e-4)
