"""Adapters in words of a record."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from hificl import HiFICLConfig
from hificl.backbones import Backbone, load_backbone
from hificl.data import Example
from hificl.evaluation import evaluate
from hificl.evaluation.adapter import describe_adapter, prompted_for


@pytest.fixture
def adapted(backbone: Backbone) -> PeftModel:
    torch.manual_seed(0)
    config = LoraConfig(r=3, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    return get_peft_model(load_backbone(backbone.name, device="cpu").model, config)


def test_plain_model_has_none(backbone: Backbone) -> None:
    assert describe_adapter(backbone.model) == []


def test_active_adapter_is_described_in_json(adapted: PeftModel) -> None:
    (described,) = json.loads(json.dumps(describe_adapter(adapted)))
    assert described["name"] == "default"
    assert described["config"]["r"] == 3
    assert described["config"]["target_modules"] == ["q_proj", "v_proj"]


def test_only_active_adapters_count(adapted: PeftModel) -> None:
    adapted.add_adapter("other", LoraConfig(r=5, target_modules=["k_proj"]))
    assert [one["name"] for one in describe_adapter(adapted)] == ["default"]
    adapted.set_adapter("other")
    assert [one["config"]["r"] for one in describe_adapter(adapted)] == [5]


def test_hash_is_that_of_the_tensors(adapted: PeftModel) -> None:
    (before,) = describe_adapter(adapted)
    assert describe_adapter(adapted) == [before]
    parameter = next(value for name, value in adapted.named_parameters() if "lora_A" in name)
    parameter.data.view(-1)[3] += 1e-3
    (after,) = describe_adapter(adapted)
    assert after["hash"] != before["hash"]
    assert after["config"] == before["config"]


def test_a_weight_is_told_where_it_is_not_one(backbone: Backbone) -> None:
    model = get_peft_model(load_backbone(backbone.name, device="cpu").model, HiFICLConfig(num_virtual_tokens=2))
    assert "weight" not in describe_adapter(model)[0]
    model.set_adapter_weights({"default": 0.5})
    assert describe_adapter(model)[0]["weight"] == 0.5
    model.set_adapter_weights({})
    assert "weight" not in describe_adapter(model)[0]


def test_demonstrations_beside_an_adapter_warn(
    backbone: Backbone, adapted: PeftModel, examples: list[Example], recwarn: pytest.WarningsRecorder
) -> None:
    asked = dataclasses.replace(backbone, model=adapted)
    graded = [dataclasses.replace(example, answers=["some"]) for example in examples]
    given: dict[str, Any] = {"demonstrations": graded, "max_new_tokens": 1}
    evaluate(asked, graded[:1], **given)
    evaluate(backbone, graded[:1], shots=1, **given)
    assert not [one for one in recwarn if "beside an adapter" in str(one.message)]
    with pytest.warns(UserWarning, match="demonstrations stand in the prompt beside an adapter.*docs/demonstrations"):
        evaluate(asked, graded[:1], shots=1, **given)


def test_an_instruction_for_frozen_models_is_left_out_with_an_adapter(backbone: Backbone) -> None:
    form = dataclasses.replace(backbone.prompt, head="Do it. ", head_in="frozen")
    asked = dataclasses.replace(backbone, prompt=form)
    own = load_backbone(backbone.name, device="cpu")
    adapted = get_peft_model(own.model, LoraConfig(r=2, target_modules=r".*language_model.*\.q_proj"))
    assert prompted_for(asked, backbone.model) is asked
    assert prompted_for(asked, adapted).prompt.head == ""
    assert prompted_for(backbone, adapted) is backbone
