"""The evaluation on easy-VQA: fixed questions, exact match, intervals; and the card shows the records' numbers."""

import dataclasses

import numpy as np
import pytest
import torch

from pretrain.architecture import build_model
from pretrain.card import write_card
from pretrain.export import save_model_folder
from pretrain.probe_easy_vqa import Item, adapted, in_context, read_split, summary
from pretrain.recipe import TINY


def test_questions_are_fixed_and_point_at_their_images():
    items, images = read_split("test", 40, 2)
    again, _ = read_split("test", 40, 2)
    assert items == again
    assert items != read_split("test", 40, 3)[0]
    assert {item.image for item in items} == set(range(len(images)))
    assert images.shape[1:] == (64, 64, 3)
    assert {item.kind for item in items} == {"yes/no", "shape", "color"}


def test_summary_counts_kinds_apart():
    queries = [Item(0, "q", answer) for answer in ("yes", "no", "red", "circle", "teal")]
    out = summary(np.array([True, False, True, False, True]), queries)
    assert {name: entry["score"] for name, entry in out.items()} == {
        "all": 60.0,
        "open": 66.7,
        "color": 100.0,
        "shape": 0.0,
        "yes/no": 50.0,
    }
    low, high = out["open"]["ci95"]
    assert 0 <= low < 66.7 < high <= 100


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tokenizer):
    torch.manual_seed(2)
    model = build_model(dataclasses.replace(TINY.architecture, vocabulary=len(tokenizer)), tokenizer)
    path = tmp_path_factory.mktemp("model")
    save_model_folder(model, tokenizer, path)
    return path


def test_kinds_without_questions_are_left_out():
    assert set(summary(np.array([True]), [Item(0, "q", "red")])) == {"all", "open", "color"}


def test_prompts_are_scored_and_an_adapter_learns(folder):
    support = [Item(i % 3, "is it there?", "yes") for i in range(12)]
    queries = [Item(0, "is it there?", "yes"), Item(1, "which one?", "red")]
    features = torch.randn(3, 16, 64)
    results = in_context(folder, support, queries, features)
    assert list(results) == ["0-shot", "4-shot", "8-shot", "16-shot"]
    assert results["16-shot"]["all"]["questions"] == 2
    learned = adapted(folder, "lora", False, support, queries, features, steps=40)
    assert learned["rate 0.01"]["yes/no"]["score"] == 100


def test_card_shows_the_numbers_of_the_records():
    entry = {"score": 71.25, "ci95": [65.0, 77.5], "questions": 9}
    kinds = dict.fromkeys(("open", "color", "shape", "yes/no", "all"), entry)
    last = {"stage": "vision", "step": 7, "of": 7, "seconds": 90, "eta": 0, "loss": 1.5, "shape_accuracy": 81.5}
    record = {
        "size": "tiny",
        "seed": 3,
        "stages": [{"name": "vision", "batch": 24, "last": last}],
        "environment": {"torch": "2.0"},
        "volatile": {"seconds": 90, "processor": "some processor", "threads": 1},
    }
    results = {"4-shot": kinds, "lora": {"rate 0.01": kinds}}
    card = write_card(record, {"parameters": 1.2e6, "queries": 9, "support": 5, "results": results})
    assert "| vision | 7 | 24 | 1.5 | 1.50 | shape_accuracy 81.5 |" in card
    assert "| 4-shot | 71.2 [65.0, 77.5] |" in card
    assert "| lora, rate 0.01 | 71.2 [65.0, 77.5] |" in card
    assert "CC-BY 4.0" in card
