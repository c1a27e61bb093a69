"""Compiled layers: few graphs, none for another length, the results of eager ones, plain names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor, nn

from closeness import assert_close, rounding_budget
from hificl import load_backbone
from hificl.adapters.stored import new_adapter
from hificl.backbones import Backbone
from hificl.data import Example
from hificl.errors import RunError
from hificl.training import session, train
from hificl.training.compiled_layers import compiled_layers
from hificl.training.loss import answer_loss
from hificl.training.request import resolve
from hificl.training.samples import Batches, EncodedExamples

PADDED, EVEN = (0, 1), (3, 3)
OTHERS = [(2, 4), (5, 5), (8, 10), (1, 9), (7, 7), (6, 0)]


@pytest.fixture
def graphs() -> Iterator[list[torch.fx.GraphModule]]:
    """What was compiled, graph by graph; torch forgets it afterwards."""
    torch._dynamo.reset()
    yield []
    torch._dynamo.reset()


def counting(graphs: list[torch.fx.GraphModule]) -> Callable[..., Any]:
    """Return a backend that notes every graph and runs it as it is."""

    def backend(graph: torch.fx.GraphModule, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    return backend


def adapted(backbone: Backbone, method: str) -> PeftModel:
    torch.manual_seed(2)
    model = new_adapter(backbone, resolve(backbone, method, "default", {}).config)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model.to(backbone.model.dtype).eval()


def gradient(backbone: Backbone, model: nn.Module, encoded: EncodedExamples, places: tuple[int, ...]) -> Tensor:
    batch: dict[str, Any] = Batches(backbone, {"use_cache": False}, True)([encoded[place] for place in places])
    labels = batch.pop("labels")
    model.zero_grad()
    answer_loss(model(**batch), labels).backward()
    return torch.cat([one.grad.reshape(-1) for one in model.parameters() if one.grad is not None])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["hificl", "lora"])
def test_two_batches_compile_all_there_is(
    backbone: Backbone, examples: list[Example], graphs: list[torch.fx.GraphModule], method: str
) -> None:
    """One with padding, one without; the first layer's inputs need no gradient. Then neither lengths nor layers add."""
    model = adapted(backbone, method)
    encoded = EncodedExamples(backbone, examples)
    lengths = {max(encoded.lengths[place] for place in places) for places in OTHERS}
    assert len(lengths) > 3
    assert len({encoded.lengths[place] for place in PADDED}) == 2
    with compiled_layers(model, counting(graphs)):
        for places in (PADDED, EVEN):
            gradient(backbone, model, encoded, places)
        first = len(graphs)
        for places in OTHERS:
            gradient(backbone, model, encoded, places)
    assert len(graphs) == first == 4, "a graph break or another compilation"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["hificl", "mimic"])
def test_gradients_are_those_of_eager_layers(
    folder: Path, backbone: Backbone, examples: list[Example], graphs: list[torch.fx.GraphModule], method: str
) -> None:
    exact = load_backbone(folder, device="cpu", dtype=torch.float64)
    encoded = EncodedExamples(backbone, examples)
    model = adapted(backbone, method)
    plain = gradient(backbone, model, encoded, PADDED)
    double = gradient(exact, adapted(exact, method), EncodedExamples(exact, examples), PADDED)
    with compiled_layers(model):
        found = gradient(backbone, model, encoded, PADDED)
    assert_close(found, plain, rounding_budget(plain, double), method)


@pytest.mark.slow
def test_a_run_learns_the_same_and_its_tensors_keep_their_names(
    backbone: Backbone,
    examples: list[Example],
    tmp_path: Path,
    graphs: list[torch.fx.GraphModule],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a teacher that looks into the compiled layers, and layers that are computed again."""
    options: dict[str, Any] = {"method": "mimic", "steps": 3, "teacher_shots": 2, "learning_rate": 0.01, "holdout": 0.2}
    plain = train(backbone, examples, output_dir=tmp_path / "plain", **options)
    monkeypatch.setattr(session, "compiled_layers", partial(compiled_layers, backend=counting(graphs)))
    options.update(compile=True, gradient_checkpointing=True, group_by_length=False)
    found = train(backbone, examples, output_dir=tmp_path / "compiled", **options)
    assert graphs
    assert found.record["config"]["recipe"]["compile"] is True
    for name in ("losses", "held_out"):
        expected = plain.record["results"][name]
        values = [expected, found.record["results"][name]]
        if name == "held_out":
            values = [[entry["loss"] for entry in one] for one in values]
        assert values[1] == pytest.approx(values[0], rel=1e-4)
    weights = [load_file(tmp_path / name / "adapter" / "adapter_model.safetensors") for name in ("plain", "compiled")]
    assert weights[0].keys() == weights[1].keys()
    assert not any("_orig_mod" in name for name in weights[1])


def test_what_cannot_be_compiled_is_told(backbone: Backbone, examples: list[Example]) -> None:
    """And nothing of it is left on the model."""
    model = adapted(backbone, "hificl")
    encoded = EncodedExamples(backbone, examples)

    def broken(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no compiler found")

    told = r"PeftModel.* could not be compiled \(.*no compiler found.*leave compile out"
    with pytest.raises(RunError, match=told), compiled_layers(model, broken):
        gradient(backbone, model, encoded, PADDED)
    torch._dynamo.reset()
    assert not any("forward" in module.__dict__ for module in model.modules())
