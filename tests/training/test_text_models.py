"""A language model without images goes the same way as any other: train, save, load, answer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from hificl.backbones import Backbone, load_backbone
from hificl.data import Example
from hificl.evaluation import evaluate
from hificl.run import load
from hificl.training import plan, train

from .tiny import tokenizer

TEMPLATE = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}</s>\n{% endfor %}assistant: "
LANDS = {"Aland": "red", "Bland": "blue", "Cland": "light blue", "Dland": "yellow", "Eland": "red", "Fland": "blue"}


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llama")
    words = tokenizer()
    words.chat_template = TEMPLATE
    torch.manual_seed(4)
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=60, intermediate_size=44, num_hidden_layers=3, num_attention_heads=6,
        num_key_value_heads=2, max_position_embeddings=151, tie_word_embeddings=True, initializer_range=0.3,
        bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def text_model(text_folder: Path) -> Backbone:
    return load_backbone(text_folder, device="cpu")


@pytest.fixture(scope="module")
def questions() -> list[Example]:
    return [
        Example(id=land, images=[], question=f"what color is {land}?", answers=[colour])
        for land, colour in LANDS.items()
    ]


@pytest.mark.parametrize("method", ["hificl", "lora"])
def test_trained_adapter_comes_back_with_its_base(
    text_model: Backbone, text_folder: Path, questions: list[Example], tmp_path: Path, method: str
) -> None:
    run = train(
        text_model, questions, method=method, output_dir=tmp_path, steps=12, learning_rate=3e-2, batch_size=6,
        micro_batch_size=3,
    )  # fmt: skip
    losses = run.record["results"]["losses"]
    assert losses[-1] < 0.9 * losses[0]
    assert run.record["volatile"]["vision_features"]["method_found"] is False
    again = load(tmp_path, device="cpu")
    assert (again.backbone.name, again.backbone.revision) == (str(text_folder), text_model.revision)
    answers = [one.prediction for one in evaluate(run, questions, max_new_tokens=5).predictions]
    assert [one.prediction for one in evaluate(again, questions, max_new_tokens=5).predictions] == answers
    assert answers != [one.prediction for one in evaluate(text_model, questions, max_new_tokens=5).predictions]


@pytest.mark.parametrize("teacher", ["kl", "mse"])
def test_a_teacher_needs_no_images(
    text_model: Backbone, questions: list[Example], tmp_path: Path, teacher: str
) -> None:
    run = train(
        text_model, questions, output_dir=tmp_path, steps=12, learning_rate=3e-2, batch_size=6, micro_batch_size=6,
        teacher=teacher, teacher_shots=2, answer_weight=0,
    )  # fmt: skip
    losses = run.record["results"]["losses"]
    assert losses[-1] < 0.9 * losses[0]


def test_demonstrations_are_turns_of_the_chat(text_model: Backbone, questions: list[Example]) -> None:
    result = evaluate(text_model, questions[:2], shots=3, demonstrations=questions, max_new_tokens=2)
    assert all(len(one.demonstrations) == 3 for one in result.predictions)
    assert result.record["config"]["backbone"]["family"] == "llama"


def test_the_plan_counts_tokens_and_memory_without_images(text_model: Backbone, questions: list[Example]) -> None:
    found = plan(text_model, questions, steps=2)
    assert len(found.targets) == 3
    assert found.tokens["max"] < 60
    weights = sum(parameter.nbytes for parameter in text_model.model.parameters())
    assert weights < found.memory_bytes < weights + 2**20
