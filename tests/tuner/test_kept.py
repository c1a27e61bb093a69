"""A static cache gives what a growing one gives, and a compiled step multiplies nothing out and reads nothing stale."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft import PeftConfig, PeftModel, get_peft_model
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import CompileConfig, GenerationConfig, LlamaConfig, LlamaForCausalLM, LogitsProcessor

from closeness import assert_close
from hificl import HiFICLConfig
from hificl.methods.mimic import MimICConfig
from hificl.tuner.kept import KeptPairs
from hificl.tuner.layer import HiFICLLayer
from hificl.tuner.pairs import Pairs

VIRTUAL, RANK, LAYERS, NEW_TOKENS = 5, 3, 2, 6
PROMPTS = torch.tensor([[0, 0, 5, 17, 3], [9, 2, 28, 31, 7], [0, 4, 4, 50, 11]])
"""Left-padded by 2, 0 and 1."""


def adapted(config: PeftConfig | None = None) -> PeftModel:
    """Two layers with shared key heads, and the adapters "default" (active) and "other"."""
    torch.manual_seed(1)
    sizes = LlamaConfig(
        vocab_size=61, hidden_size=24, intermediate_size=40, num_hidden_layers=LAYERS, num_attention_heads=4,
        num_key_value_heads=2, head_dim=6, max_position_embeddings=64,
    )  # fmt: skip
    config = config or HiFICLConfig(num_virtual_tokens=VIRTUAL, r=RANK, task_type="CAUSAL_LM")
    model = get_peft_model(LlamaForCausalLM(sizes), config).eval()
    model.add_adapter("other", copy.deepcopy(config))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "hificl_kv" in name:
                parameter.copy_(torch.randn(parameter.shape))
    return model.eval()


def logits(model: PeftModel, cache: str | list[Any], **options: Any) -> Tensor:
    """Generate, on a cache that is "dynamic" or "static", or compiled on a static one into a list of graphs.

    Returns the logits of all steps.
    """

    def backend(graph: Any, inputs: Any) -> Any:
        assert isinstance(cache, list)
        if any(node.op == "call_function" for node in graph.graph.nodes):  # a hook may be a frame that computes nothing
            cache.append(graph)
        return graph.forward

    config = GenerationConfig(
        max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=0, output_logits=True, return_dict_in_generate=True,
    )  # fmt: skip
    if cache != "dynamic":
        config.cache_implementation, config.max_cache_len = "static", 23
        config.compile_config = CompileConfig(fullgraph=True, backend=backend, mode=None)
        config.compile_config._compile_all_devices = isinstance(cache, list)
        config.disable_compile = cache == "static"
    mask = (PROMPTS != 0).long()
    made = model.generate(input_ids=PROMPTS, attention_mask=mask, generation_config=config, **options)
    return torch.stack(made.logits)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracing logs thousands of lines."""
    monkeypatch.setattr(logging.getLogger("torch.__trace"), "propagate", False)


KINDS: dict[str, Callable[[], PeftConfig]] = {
    "softmax": HiFICLConfig,
    "offset": lambda: HiFICLConfig(learn_score_offset=True, share="kv"),
    "additive": lambda: HiFICLConfig(mixing="additive"),
    "official": lambda: HiFICLConfig(compat="official"),
    "mimic": MimICConfig,
    "mimic official": lambda: MimICConfig(form="altered", compat="official"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_places_not_yet_written_do_not_count(kind: str) -> None:
    model = adapted(KINDS[kind]())
    expected = logits(model, "dynamic")
    budget = 64 * torch.finfo(torch.float32).eps * expected.abs().max().item()
    assert_close(logits(model, "static"), expected, budget, kind)
    with model.disable_adapter():
        assert (logits(model, "dynamic") - expected).abs().max() > 1e-2


@pytest.mark.parametrize("rows", [["other", "default", "other"], ["__base__", "other", "default"]])
def test_rows_of_a_mixed_batch(rows: list[str]) -> None:
    model = adapted()
    expected = logits(model, "dynamic", adapter_names=rows)
    budget = 64 * torch.finfo(torch.float32).eps * expected.abs().max().item()
    assert_close(logits(model, "static", adapter_names=rows), expected, budget, "mixed")


class Products(TorchDispatchMode):
    """Counts products of factors: [virtual rank] with [rank size]."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        shapes = [tuple(one.shape[-2:]) for one in args if isinstance(one, Tensor)]
        self.count += len(shapes) > 1 and shapes[0] == (VIRTUAL, RANK) and shapes[1][0] == RANK
        return function(*args, **(kwargs or {}))


ROWS: dict[str, Any] = {
    "one": {},
    "several": {"active": ["default", "other"]},
    "rows": {"adapter_names": ["other", "default", "other"]},
}


@pytest.mark.parametrize("rows", ROWS)
def test_no_step_multiplies_out(rows: str) -> None:
    """Keys and values of every layer and adapter, once for a whole generation."""
    model, options = adapted(), dict(ROWS[rows])
    model.base_model.set_adapter(options.pop("active", "default"))
    with Products() as products:
        logits(model, "dynamic", **options)
    adapters = 1 if rows == "one" else 2
    assert products.count == 2 * LAYERS * adapters


@pytest.mark.parametrize("rows", ["one", pytest.param("several", marks=pytest.mark.slow), "rows"])
def test_no_compiled_step_multiplies_out(rows: str, quiet: None) -> None:
    model, options = adapted(), dict(ROWS[rows])
    model.base_model.set_adapter(options.pop("active", "default"))
    expected = logits(model, "dynamic", **options)
    graphs: list[Any] = []
    actual = logits(model, graphs, **options)
    budget = 64 * torch.finfo(torch.float32).eps * expected.abs().max().item()
    assert_close(actual, expected, budget, "compiled")
    assert len(graphs) == 1
    called = [node for node in graphs[0].graph.nodes if node.op == "call_function"]
    assert not [node for node in called if is_product_of_factors(node)]
    assert not [node for node in called if "hificl" in str(node.target)], "a step is traced through"
    assert all(layer.kept.pairs is None for layer in layers_of(model)), "the generation is over"


def is_product_of_factors(node: Any) -> bool:
    made = [arg.meta.get("example_value") for arg in node.args if isinstance(arg, torch.fx.Node)]
    shapes = [tuple(one.shape[-2:]) for one in made if isinstance(one, Tensor)]
    return len(shapes) > 1 and shapes[0] == (VIRTUAL, RANK) and shapes[1][0] == RANK


def layers_of(model: PeftModel) -> list[HiFICLLayer]:
    return [module for module in model.modules() if isinstance(module, HiFICLLayer)]


class Between(LogitsProcessor):
    """Does something before the second compiled step."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act, self.steps = act, 0

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # type: ignore[override]
        self.steps += 1
        if self.steps == 3:
            self.act()
        return scores


SWITCHES: dict[str, Callable[[PeftModel], object]] = {
    "switch": lambda model: model.set_adapter("other"),
    "disable": lambda model: model.base_model.disable_adapter_layers(),
    "delete": lambda model: model.delete_adapter("default"),
}


@pytest.mark.parametrize(
    "switch", ["switch", *(pytest.param(name, marks=pytest.mark.slow) for name in SWITCHES if name != "switch")]
)
def test_a_switch_between_two_compiled_steps_is_seen(switch: str, quiet: None) -> None:
    found = []
    for cache in ("dynamic", []):
        model = adapted()
        found.append(logits(model, cache, logits_processor=[Between(lambda m=model: SWITCHES[switch](m))]))  # type: ignore[misc]
    budget = 64 * torch.finfo(torch.float32).eps * found[0].abs().max().item()
    assert_close(found[1], found[0], budget, switch)
    untouched = logits(adapted(), "dynamic")
    assert torch.equal(untouched[:3], found[0][:3])
    assert (untouched[3] - found[0][3]).abs().max() > 1e-2


def test_what_is_kept_ends_with_its_generation() -> None:
    kept, pairs = KeptPairs(), Pairs(torch.zeros(3, 4, 2, 5), torch.zeros(3, 4, 2, 5), 0.0, False, False)
    kept.put("layer", pairs)
    assert kept.get("layer", 3) is None, "no generation is under way"
    with kept.open():
        kept.put("layer", pairs)
        assert kept.get("layer", 3) is pairs
        assert kept.get("layer", 6) is None, "made for another batch"
        assert kept.get("other", 3) is None
        with kept.open():
            assert kept.get("layer", 3) is None
            kept.put("layer", pairs)
        assert kept.get("layer", 3) is None, "that was of the generation within"
        kept.put("layer", pairs)
        kept.clear()
        assert kept.get("layer", 3) is None
    assert kept.get("layer", 3) is None


def test_training_forgets_what_was_kept() -> None:
    """After a step of an optimiser a generation is that of a model that has never generated."""
    found = []
    for warm in (True, False):
        model = adapted()
        if warm:
            logits(model, "static")
        model(input_ids=PROMPTS).logits.square().mean().backward()
        torch.optim.SGD([one for one in model.parameters() if one.grad is not None], lr=0.5).step()
        found.append(logits(model, "static"))
    assert torch.equal(*found)
