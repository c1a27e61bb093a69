"""Counted operations against formulas, bytes of a cache against theirs, and trainings counted as they run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import DynamicCache

from hificl import virtual_attention
from hificl.adapters.stored import new_adapter
from hificl.backbones import Backbone
from hificl.cell import Cell
from hificl.diagnostics import MEASURES, MeasureRequest, count_flops, peak_bytes
from hificl.diagnostics.inference_cost import Asking, cache_bytes, inference_cost
from hificl.diagnostics.timing import in_turns, now, spread
from hificl.errors import InputError
from hificl.tasks import TaskData
from hificl.training import train
from hificl.tuner import HiFICLConfig
from methods.small_decoder import HEAD_DIM, HEADS, KV_HEADS, LAYERS, small_decoder

CPU = torch.device("cpu")


def request(backbone: Backbone, data: TaskData, cell: Cell, folder: Path, **options: Any) -> MeasureRequest:
    return MeasureRequest(backbone, data, "colours", "exact_match", cell, options, folder)


def test_operations_of_a_linear_layer_and_its_gradients() -> None:
    layer, inputs = nn.Linear(7, 13), torch.ones(5, 7)
    assert count_flops(lambda: layer(inputs)) == 2 * 5 * 7 * 13
    assert count_flops(lambda: layer(inputs).sum().backward()) == 2 * 2 * 5 * 7 * 13


def test_operations_of_attention_with_virtual_pairs() -> None:
    """The pairs add two small products to those of plain attention; grouped heads change nothing."""
    batch, heads, queries, head_dim, virtual = 2, 6, 19, 8, 3
    query = torch.randn(batch, heads, queries, head_dim)
    key, value = (torch.randn(batch, 2, queries, head_dim) for _ in range(2))
    pairs = [torch.randn(heads, virtual, head_dim) for _ in range(2)]
    counted = count_flops(lambda: virtual_attention(query, key, value, *pairs, is_causal=True))
    assert counted == 2 * 2 * batch * heads * queries * head_dim * (queries + virtual)


def test_memory_is_that_of_what_a_call_makes() -> None:
    # The allocator rounds up to 64 bytes at most.
    assert peak_bytes(lambda: torch.empty(129, 387), CPU) == pytest.approx(4 * 129 * 387, abs=64)


def test_bytes_of_a_cache_are_those_of_its_tensors() -> None:
    model = small_decoder(torch.float32)
    cache = DynamicCache(config=model.config)
    model(input_ids=torch.ones(2, 9, dtype=torch.long), past_key_values=cache, use_cache=True)
    assert cache_bytes(cache) == 2 * LAYERS * 2 * KV_HEADS * 9 * HEAD_DIM * 4
    assert HEADS != KV_HEADS


def test_turns_follow_the_seed_and_do_not_count_the_first_run() -> None:
    ran: list[str] = []
    calls = {name: lambda name=name: ran.append(name) for name in ("a", "b", "c")}
    found = in_turns(calls, CPU, rounds=5, seed=3)
    assert [len(one) for one in found.values()] == [5, 5, 5]
    rounds = [tuple(ran[start : start + 3]) for start in range(0, 18, 3)]
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)
    assert len(set(rounds)) > 1
    assert now(CPU) <= now(CPU)


def test_spread_has_quartiles() -> None:
    assert spread([5.0, 1.0, 3.0, 2.0, 4.0]) == {"median": 3.0, "low": 2.0, "high": 4.0, "count": 5}
    assert spread([7.0]) == {"median": 7.0, "low": 7.0, "high": 7.0, "count": 1}


def decoder_products(backbone: Backbone) -> int:
    """Weights of all matrices that one token goes through: the layers and the output embedding."""
    model: Any = backbone.model
    layers = sum(weight.numel() for weight in model.get_decoder().layers.parameters() if weight.dim() == 2)
    return layers + int(model.get_output_embeddings().weight.numel())


def test_what_an_answer_costs(backbone: Backbone, data: TaskData) -> None:
    model = new_adapter(backbone, HiFICLConfig(num_virtual_tokens=5, r=3)).eval()
    queries, new_tokens = data.queries[:3], 4
    askings = {
        "hificl": Asking.of(backbone, model, queries, [], 0, new_tokens=5),
        "icl_2": Asking.of(backbone, backbone.model, queries, data.support, 2, new_tokens=5),
        "zero_shot": Asking.of(backbone, backbone.model, queries, [], 0, new_tokens=5),
    }
    results, volatile = inference_cost(askings, new_tokens=new_tokens, rounds=2)
    lines = results["lines"]
    for name, asking in askings.items():
        lengths, line = asking.queries.lengths, lines[name]
        assert line["prompt_tokens"] == pytest.approx(sum(lengths) / 3, rel=1e-5)
        assert line["longest_prompt"] == max(lengths)
        # Two layers, keys and values, two heads of ten, four bytes.
        assert line["kv_bytes"] == round(sum(lengths) / 3 * 2 * 2 * 2 * 10 * 4)
        # Each later token sees the prompt, those before it and itself: two products with all keys, in six heads of ten.
        keys = sum(length + step for length in lengths for step in range(1, new_tokens + 1)) / 3 / new_tokens
        pairs = 5 if name == "hificl" else 0
        attention = 2 * 2 * 2 * 6 * 10 * (keys + pairs)
        assert line["flops_per_token"] == pytest.approx(2 * decoder_products(backbone) + attention, abs=1)
        assert set(volatile["lines"][name]) == {"seconds_to_first_token", "seconds_per_token"}
    assert lines["icl_2"]["flops_prefill"] > 2.5 * lines["zero_shot"]["flops_prefill"]
    assert lines["hificl"]["flops_prefill"] > lines["zero_shot"]["flops_prefill"]
    assert volatile["clock"] == "processor time"


def test_a_training_is_counted_as_it_runs(backbone: Backbone, data: TaskData, tmp_path: Path) -> None:
    options = {"steps": 4, "batch_size": 2, "num_virtual_tokens": 3, "r": 2}
    cell = Cell("hificl", seed=3, options=options)
    measured = MEASURES["training_cost"].run(request(backbone, data, cell, tmp_path / "cell", timed_steps=1))
    found = measured.results
    of = {"recipe": "plain", "output_dir": tmp_path / "run", "seed": 3, **options}
    whole = count_flops(lambda: train(backbone, data.support, **of))
    assert (found["steps"], found["counted_steps"], found["examples"]) == (4, 4, 7)
    assert found["flops"] == whole
    assert not found["extrapolated"]
    assert 0 < found["flops_per_step"] < whole / 3
    assert measured.volatile["seconds_per_step"]["count"] == 1
    assert measured.volatile["peak_memory_bytes"] > 0
    assert list((tmp_path / "cell").iterdir()) == []


def test_steps_that_are_not_counted_are_added(backbone: Backbone, data: TaskData, tmp_path: Path) -> None:
    """The teacher's forwards are among the operations of a step."""
    options = {"batch_size": 2, "teacher_shots": 2}
    cell = Cell("mimic", seed=3, options={**options, "steps": 5})
    found = (
        MEASURES["training_cost"]
        .run(request(backbone, data, cell, tmp_path / "cell", counted_steps=2, timed_steps=1))
        .results
    )
    counted = count_flops(
        lambda: train(
            backbone,
            data.support,
            method="mimic",
            recipe="plain",
            output_dir=tmp_path / "run",
            seed=3,
            steps=2,
            **options,
        )  # fmt: skip
    )
    assert (found["steps"], found["counted_steps"], found["extrapolated"]) == (5, 2, True)
    assert found["flops"] == counted + 3 * found["flops_per_step"]
    student = 2 * 3 * 2 * decoder_products(backbone) * 20  # forward and backward of two prompts of 20 tokens or more
    assert found["flops_per_step"] > 1.5 * student


def test_a_fit_is_counted_whole(backbone: Backbone, data: TaskData, tmp_path: Path) -> None:
    measured = MEASURES["training_cost"].run(request(backbone, data, Cell("icv"), tmp_path))
    assert measured.results["steps"] == 0
    assert measured.results["flops_per_step"] is None
    assert measured.results["flops"] > 0
    assert measured.volatile["seconds"] > 0


def test_a_prompt_has_no_training(backbone: Backbone, data: TaskData, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="icl is a prompt and has no training"):
        MEASURES["training_cost"].run(request(backbone, data, Cell("icl", shots=2), tmp_path))
