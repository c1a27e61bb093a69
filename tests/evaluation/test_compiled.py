"""A static cache and a compiled step answer as the plain loop does, with one graph for all batches."""

from __future__ import annotations

import copy
import logging
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftConfig, PeftModel, PrefixTuningConfig, get_peft_model
from torch import nn

from hificl import TASKS, HiFICLConfig, load_backbone
from hificl.adapters.shared_weights import with_shared_weights
from hificl.backbones import Backbone
from hificl.data import Example
from hificl.errors import InputError, RunError
from hificl.evaluation import Decoding, compiled, generate_answers
from hificl.evaluation.compiled import CompiledDecoding
from hificl.evaluation.generation import plain_decoding
from hificl.evaluation.presets import GREEDY
from hificl.methods.live import LIVEConfig
from hificl.methods.mimic import MimICConfig
from hificl.methods.task_vector import TaskVectorConfig

NEW_TOKENS = 4


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The graphs that were made; they run in Python, so that making them takes no compiler."""
    made: list[Any] = []

    def remember(graph: Any, inputs: Any) -> Any:
        if any(node.op == "call_function" for node in graph.graph.nodes):  # a hook may be a frame that computes nothing
            made.append(graph)
        return graph.forward

    monkeypatch.setattr(compiled, "BACKEND", remember)
    monkeypatch.setattr(logging.getLogger("torch.__trace"), "propagate", False)  # thousands of lines
    return made


def adapted(backbone: Backbone, config: PeftConfig) -> PeftModel:
    """An adapter whose values matter, on a model of its own."""
    torch.manual_seed(3)
    model = get_peft_model(with_shared_weights(backbone.model), config).eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "hificl_" in name or "lora_" in name:
                tensor.copy_(2.0 * torch.randn(tensor.shape))
    return model


METHODS: dict[str, Callable[[], PeftConfig]] = {
    "additive": lambda: HiFICLConfig(num_virtual_tokens=3, r=2, mixing="additive", share="kv"),
    "mimic": MimICConfig,
    "task vector": lambda: TaskVectorConfig(layer=1),
    "live": LIVEConfig,
    "lora": lambda: LoraConfig(r=2, target_modules=["q_proj", "v_proj"]),
}


def same_answers(backbone: Backbone, model: Any, examples: list[Example], graphs: list[Any], count: int) -> None:
    """Prompts of all lengths, and a last batch that is not full: one graph, and the answers of the plain loop."""
    options: dict[str, Any] = {"batch_size": 3, "max_new_tokens": NEW_TOKENS, "shots": 1, "demonstrations": examples}
    made = generate_answers(backbone, model, examples, compile=True, **options)
    assert len(examples) % 3
    assert len(graphs) == count
    assert made.texts == generate_answers(backbone, model, examples, **options).texts
    if model is not backbone.model:
        assert made.texts != generate_answers(backbone, backbone.model, examples, **options).texts


def test_one_graph_answers_as_the_plain_loop(backbone: Backbone, examples: list[Example], graphs: list[Any]) -> None:
    model = adapted(backbone, HiFICLConfig(num_virtual_tokens=3, r=2))
    same_answers(backbone, model, examples, graphs, 1)
    same_answers(backbone, model, examples[:4], graphs, 1)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_every_kind_of_adapter_answers_as_in_the_plain_loop(
    method: str, backbone: Backbone, examples: list[Example], graphs: list[Any]
) -> None:
    same_answers(backbone, adapted(backbone, METHODS[method]()), examples, graphs, 1)


@pytest.mark.slow
def test_a_model_and_its_copy_have_graphs_of_their_own(
    backbone: Backbone, examples: list[Example], graphs: list[Any]
) -> None:
    """What transformers leaves on a model would make an adapter on its copy answer like the frozen model."""
    same_answers(backbone, backbone.model, examples, graphs, 1)
    model = adapted(backbone, HiFICLConfig(num_virtual_tokens=3, r=2))
    same_answers(backbone, model, examples, graphs, 2)
    same_answers(backbone, backbone.model, examples, graphs, 2)


def test_beams_are_refused(text_backbone: Backbone, text_examples: list[Example]) -> None:
    with pytest.raises(InputError, match="num_beams is 3: transformers compiles greedy decoding alone"):
        generate_answers(
            text_backbone, text_backbone.model, text_examples, decoding=Decoding(num_beams=3), compile=True
        )


@pytest.mark.slow
def test_compiled_by_the_default_backend() -> None:
    """The embedded model, a compiler and all."""
    backbone, queries = load_backbone("embedded", device="cpu"), TASKS["easy_vqa"].load().queries[:10]
    model = adapted(backbone, HiFICLConfig())
    options: dict[str, Any] = {"batch_size": 4, "max_new_tokens": 6}
    made = generate_answers(backbone, model, queries, compile=True, **options)
    assert made.texts == generate_answers(backbone, model, queries, **options).texts


class Step(nn.Module):
    """Compiles nothing, but leaves behind what transformers leaves."""

    device = torch.device("cpu")

    def compile_as_transformers_does(self) -> None:
        self._compiled_call = self._compiled_call if hasattr(self, "_compiled_call") else object()
        self._last_compile_config, self._previous_max_cache_length = object(), 128


def test_a_copy_never_finds_the_step_of_its_original() -> None:
    model = Step()
    before = set(vars(model)) | {compiled.OURS}
    seen = []
    for _ in range(2):
        with CompiledDecoding(model, longest=7, new_tokens=2).step():
            model.compile_as_transformers_does()
            seen.append(model._compiled_call)
        assert set(vars(model)) == before
    assert seen[0] is seen[1], "compiled once"
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        with CompiledDecoding(twin, longest=7, new_tokens=2).step():
            assert not hasattr(twin, "_compiled_call")
            twin.compile_as_transformers_does()
        assert twin.__dict__[compiled.OURS].call is not seen[0]


def test_what_the_caller_has_compiled_is_put_back() -> None:
    model = Step()
    own = model._compiled_call = object()
    with CompiledDecoding(model, longest=7, new_tokens=2).step():
        assert not hasattr(model, "_compiled_call")
        model.compile_as_transformers_does()
    assert model._compiled_call is own


def test_a_step_that_was_not_compiled_is_told() -> None:
    step = CompiledDecoding(Step(), longest=7, new_tokens=2).step()
    message = r"Step: transformers compiles no decode step .* leave compile out"
    with pytest.raises(InputError, match=message), step:
        pass


def test_lengths_of_caches_are_few() -> None:
    lengths = [CompiledDecoding(Step(), longest=longest, new_tokens=9).cache_length for longest in (1, 55, 56, 119)]
    assert lengths == [64, 64, 128, 128]


@pytest.mark.parametrize(
    "config, reason",
    [
        (
            PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
            "hands its prefix over as a cache of its own",
        ),
        (HiFICLConfig(compat="official"), "counts keys that are masked"),
    ],
)
def test_adapters_that_a_static_cache_does_not_serve(
    config: PeftConfig, reason: str, text_backbone: Backbone, text_examples: list[Example]
) -> None:
    model = get_peft_model(with_shared_weights(text_backbone.model), config)
    with pytest.raises(InputError, match=f"{type(config).__name__}: .*{reason}.* leave compile out"):
        generate_answers(text_backbone, model, text_examples, compile=True)


def test_a_step_that_fails_names_the_way_out(
    text_backbone: Backbone, text_examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise ValueError("no compiler")

    monkeypatch.setattr(compiled, "BACKEND", broken)
    with pytest.raises(RunError, match=r"(?s)no compiler.*; it may go without compile"):
        generate_answers(text_backbone, text_backbone.model, text_examples[:2], max_new_tokens=3, compile=True)


@pytest.mark.parametrize(
    "others", [["second", "default", "second"], ["__base__", "second", "default"], ["__base__", "__base__", "second"]]
)
def test_a_mixed_batch_of_other_names_takes_the_same_graph(
    text_backbone: Backbone, graphs: list[Any], others: list[str]
) -> None:
    model = adapted(text_backbone, HiFICLConfig(num_virtual_tokens=3, r=2))
    model.add_adapter("second", HiFICLConfig(num_virtual_tokens=5, r=2, init_weights=False))
    model.eval()
    prompts = torch.arange(5, 5 + 3 * 7).reshape(3, 7)
    for names in (["default", "second", "default"], others):
        compiling, plain = (plain_decoding([], 0, replace(GREEDY, max_new_tokens=NEW_TOKENS)) for _ in range(2))
        decoding = CompiledDecoding(model, longest=20, new_tokens=NEW_TOKENS)
        given: dict[str, Any] = {"input_ids": prompts, "attention_mask": torch.ones_like(prompts)}
        with torch.no_grad(), decoding.step():
            found = model.generate(**given, generation_config=decoding.configure(compiling), adapter_names=names)
        wanted = model.generate(**given, generation_config=plain, adapter_names=names)
        assert torch.equal(found, wanted)
        assert len(graphs) == 1
