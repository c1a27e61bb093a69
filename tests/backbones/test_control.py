"""The random-LM control: which weights it shares with its original, and which it does not."""

from __future__ import annotations

import pytest
import torch

from hificl.backbones import Backbone, collate, encode
from hificl.backbones.control import random_language_model, vision_tower
from hificl.data import Example
from hificl.errors import InputError


def test_only_the_vision_tower_is_the_same(backbone: Backbone) -> None:
    control = random_language_model(backbone, seed=3)
    tower, copy = vision_tower(backbone.model), vision_tower(control.model)
    assert tower is not None
    assert copy is not None
    inside = {f"model.vision_tower.{name}" for name in tower.state_dict()}
    own = control.model.state_dict()
    for name, original in backbone.model.state_dict().items():
        constant = original.unique().numel() == 1
        assert torch.equal(own[name], original) == (name in inside or constant), name
        assert own[name].data_ptr() != original.data_ptr(), name
    assert {name for name in own if "projector" in name}.isdisjoint(inside)


def test_it_answers_in_the_same_way_from_the_same_images(backbone: Backbone, examples: list[Example]) -> None:
    control = random_language_model(backbone, seed=3)
    batch = collate(backbone, [encode(backbone, example) for example in examples[:3]])
    with torch.no_grad():
        seen = [one.model.model.vision_tower(batch["pixel_values"]).last_hidden_state for one in (backbone, control)]
        logits = [one.model(**batch).logits for one in (backbone, control)]
    assert torch.equal(*seen)
    assert logits[0].shape == logits[1].shape
    assert not torch.allclose(*logits)


def test_the_seed_decides_and_the_process_keeps_its_own(backbone: Backbone) -> None:
    torch.manual_seed(11)
    expected = torch.rand(5)
    torch.manual_seed(11)
    first, again, other = (random_language_model(backbone, seed).model.state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.rand(5), expected)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_it_is_frozen_and_says_what_it_is(backbone: Backbone) -> None:
    control = random_language_model(backbone, seed=3)
    assert control.revision == f"{backbone.revision}+random_lm:3"
    assert (control.name, control.prompt, control.family) == (backbone.name, backbone.prompt, backbone.family)
    assert not control.model.training
    assert not any(parameter.requires_grad for parameter in control.model.parameters())


def test_a_text_model_has_no_such_control(text_backbone: Backbone) -> None:
    with pytest.raises(InputError, match="names no vision tower"):
        random_language_model(text_backbone)
