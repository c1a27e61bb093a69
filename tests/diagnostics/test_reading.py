"""Reading in one forward and step by step: the same where nothing depends on it, right where something does."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hificl.adapters.stored import new_adapter
from hificl.backbones import Backbone, encode
from hificl.data import Example
from hificl.diagnostics import reading
from hificl.diagnostics.reading import Text, read, reads_step_by_step
from hificl.tuner import HiFICLConfig, find_places
from laws.toys import LastStateConfig


def texts_of(backbone: Backbone, examples: list[Example]) -> list[Text]:
    """Query and answer of three examples of different lengths; nine tokens and those of the answer are looked at."""
    found = []
    for example in examples[7:10]:
        encoded = encode(backbone, example, answer=example.answers[0])
        answers = len(encoded.answer_ids)
        found.append(Text(replace(encoded, answer_ids=encoded.answer_ids[:-1]), 9 + answers, answers))
    assert len({text.encoded.length for text in found}) > 1
    assert len({text.answers for text in found}) > 1
    return found


def test_steps_read_as_one_forward_does(
    double: Backbone, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    model = new_adapter(double, HiFICLConfig(num_virtual_tokens=3, r=2, init_weights=False)).double().eval()
    places = find_places(model, "residual")
    texts = texts_of(double, examples)
    assert not reads_step_by_step(model)
    whole = read(double, model, texts, places)
    monkeypatch.setattr(reading, "reads_step_by_step", lambda _: True)
    for text, one, stepped in zip(texts, whole, read(double, model, texts, places), strict=True):
        assert one.logits.shape == (text.answers, len(double.tokenizer))
        for ours, theirs in zip(one.states, stepped.states, strict=True):
            assert ours.shape == theirs.shape == (text.tokens, 60)
            assert ours.dtype == torch.float64
            assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-9)
        # A generation hands its logits over in float32.
        assert torch.equal(one.logits.float().argmax(-1), stepped.logits.argmax(-1))
        assert torch.allclose(one.logits.float(), stepped.logits, rtol=1e-5, atol=1e-5)


def test_what_acts_at_the_last_prompt_token_acts_there(backbone: Backbone, examples: list[Example]) -> None:
    model = new_adapter(backbone, LastStateConfig(layers_to_transform=[1])).eval()
    assert reads_step_by_step(model)
    places = find_places(model, "residual")
    wanted = next(tensor for name, tensor in model.named_buffers() if "last_state" in name)
    for text, found in zip((texts := texts_of(backbone, examples)), read(backbone, model, texts, places), strict=True):
        replaced = (found.states[1] == wanted).all(dim=1)
        assert replaced.tolist() == [index == text.tokens - text.answers for index in range(text.tokens)]
