"""The loss of a given answer."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import DynamicCache

from hificl import METHODS
from hificl.adapters.stored import new_adapter
from hificl.backbones import Backbone, collate, encode
from hificl.data import Example
from hificl.evaluation.likelihood import answer_loss, share_of_yes


def test_the_loss_is_the_sum_over_the_tokens_of_the_answer(backbone: Backbone, examples: list[Example]) -> None:
    found = answer_loss(backbone, backbone.model, examples[3], "light blue", demonstrations=examples[:1])
    prompt = encode(backbone, examples[3], demonstrations=examples[:1])
    ids = backbone.tokenizer(" light blue", add_special_tokens=False)["input_ids"]
    expected, grown = 0.0, list(prompt.input_ids)
    for token in ids:
        batch = collate(backbone, [type(prompt)(grown, [], prompt.inputs, prompt.id)])
        with torch.no_grad():
            expected -= float(backbone.model(**batch).logits[0, -1].log_softmax(-1)[token])
        grown.append(token)
    assert found.tokens == len(ids) == 2
    assert found.total == pytest.approx(expected, rel=1e-4)


INSIDE = sorted(set(METHODS) - {"zero_shot", "icl", "lora"})


def acting(backbone: Backbone, method: str) -> PeftModel:
    """The model with an adapter of a method whose every value is random, at layer 1 where it has one layer."""
    chosen = {"task_vector": {"layer": 1}, "function_vector": {"layer": 1}, "mtv": {"heads": [[0, 1], [1, 0]]}}
    model = new_adapter(backbone, METHODS[method].peft_config(backbone, chosen.get(method, {}))).eval()
    generator = torch.Generator().manual_seed(2)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if ".default." in name:
            tensor.data += torch.randn(tensor.shape, generator=generator)
    return model


@pytest.mark.parametrize("method", INSIDE)
def test_an_answer_costs_what_its_tokens_cost_in_generation(
    backbone: Backbone, examples: list[Example], method: str
) -> None:
    """The prompt first, then the answer token by token: the last token of the prompt is one, as it is in use."""
    model = acting(backbone, method)
    found = answer_loss(backbone, model, examples[3], "light blue", demonstrations=examples[:1])
    prompt = encode(backbone, examples[3], demonstrations=examples[:1])
    batch: dict[str, Any] = {**collate(backbone, [prompt]), "past_key_values": DynamicCache()}
    mask, expected, greedy = batch["attention_mask"], 0.0, []
    for token in backbone.tokenizer(" light blue", add_special_tokens=False)["input_ids"]:
        with torch.no_grad():
            likely = model(**batch).logits[0, -1].log_softmax(-1)
        expected -= float(likely[token])
        greedy.append(int(likely.argmax()) == token)
        mask = torch.cat([mask, mask[:, :1]], dim=1)
        batch = {
            "input_ids": torch.tensor([[token]]), "attention_mask": mask, "past_key_values": batch["past_key_values"],
        }  # fmt: skip
    assert found.total == pytest.approx(expected, rel=1e-4)
    assert (found.tokens, found.greedy) == (2, all(greedy))
    frozen = answer_loss(backbone, backbone.model, examples[3], "light blue", demonstrations=examples[:1])
    assert abs(found.total - frozen.total) > 1e-2
    shares = [share_of_yes(backbone, one, examples[2]) for one in (model, backbone.model)]
    assert shares[0] != pytest.approx(shares[1], rel=1e-3)


class Foresees(torch.nn.Module):
    """Finds the token that follows most likely, except at one place counted from the end."""

    def __init__(self, wrong: int | None) -> None:
        super().__init__()
        self.parameter, self.wrong = torch.nn.Parameter(torch.zeros(1)), wrong

    def forward(self, input_ids: torch.Tensor, **inputs: object) -> SimpleNamespace:
        following = input_ids.roll(-1, dims=1)
        if self.wrong is not None:
            following[:, -self.wrong] += 1
        return SimpleNamespace(logits=torch.nn.functional.one_hot(following, 500).half())


@pytest.mark.parametrize("wrong, greedy", [(None, True), (2, False), (3, False), (4, True), (1, True)])
def test_greedy_asks_about_the_tokens_of_the_answer_alone(
    backbone: Backbone, examples: list[Example], wrong: int | None, greedy: bool
) -> None:
    """Of the sequence "... A: light blue" the two places before the last token count."""
    assert answer_loss(backbone, Foresees(wrong), examples[0], "light blue").greedy is greedy


def test_share_of_yes(backbone: Backbone, examples: list[Example]) -> None:
    yes, no = (answer_loss(backbone, backbone.model, examples[2], word).total for word in ("yes", "no"))
    share = share_of_yes(backbone, backbone.model, examples[2])
    assert share == pytest.approx(math.exp(-yes) / (math.exp(-yes) + math.exp(-no)), rel=1e-5)
