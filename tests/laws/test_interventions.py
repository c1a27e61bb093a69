"""What every method that acts at places has from its tuner: exact, first-class, and gone when it is gone."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file
from torch import Tensor, nn

from closeness import assert_close, assert_same
from hificl.tuner import SITES, InterventionConfig, find_places, interventions, on_place

from .catalogue import TWINS
from .probes import NEW_TOKENS, assert_rows_same, generated, model_budget, plain, row_logits, samples, wrap
from .toys import LastState, LastStateConfig, Shift, ShiftConfig
from .twins import collate

SOME = ["gpt2", "gemma2", "hrm_text", "llava_qwen2", "qwen3_vl", "blip2_opt", "idefics"]


def attach(
    model: nn.Module, config: InterventionConfig | None = None, adapter: str = "default", seed: int = 5
) -> PeftModel:
    """Put an adapter on a model; the seed decides its values."""
    torch.manual_seed(seed)
    return get_peft_model(model, config or ShiftConfig(), adapter_name=adapter).eval()


def attach_more(model: PeftModel, config: InterventionConfig, adapter: str, seed: int) -> None:
    """Put one more adapter on it; the active one stays."""
    torch.manual_seed(seed)
    model.add_adapter(adapter, config)
    model.eval()


def batch_of(name: str, padding: str = "left") -> dict[str, Tensor]:
    return collate(samples(name), padding)


def differs(left: list[Tensor], right: list[Tensor]) -> bool:
    return all((one - two).abs().max() > 1e-3 for one, two in zip(left, right, strict=True))


@pytest.mark.parametrize("name", TWINS)
def test_an_adapter_is_its_functions_at_its_places(name: str) -> None:
    batch, base = batch_of(name), TWINS[name].build()
    keys, before = set(base.state_dict()), row_logits(base, batch)
    model = attach(base)
    shifted = row_logits(model, batch)
    assert differs(shifted, before)
    with model.disable_adapter():
        assert_rows_same(row_logits(model, batch), before, "disabled")
    added = set(base.state_dict()) - keys
    assert keys <= set(base.state_dict())
    assert len(added) == len(interventions(model))
    assert all(".hificl_interventions.default.shift_vector" in key for key in added)

    by_hand = TWINS[name].build()
    vectors = {key: module.shift_vector.detach() for key, module in interventions(model).items()}
    for site in SITES:
        for place in find_places(by_hand, site):
            on_place(by_hand, place, lambda activation, vector=vectors[site, place.layer]: activation + vector)
    assert_rows_same(row_logits(by_hand, batch), shifted, "by hand")


@pytest.mark.parametrize("name", TWINS)
def test_unload_gives_the_base_back(name: str) -> None:
    batch, base = batch_of(name), TWINS[name].build()
    before = row_logits(base, batch)
    modules = {path: type(part) for path, part in base.named_modules()}
    configs = {path: part.config for path, part in base.named_modules() if hasattr(part, "config")}
    weights = {key: tensor.clone() for key, tensor in base.state_dict().items()}
    hooks = [(list(part._forward_hooks), list(part._forward_pre_hooks)) for part in base.modules()]
    model = attach(base)
    row_logits(model, batch)
    assert model.unload() is base
    assert {path: type(part) for path, part in base.named_modules()} == modules
    assert all(base.get_submodule(path).config is config for path, config in configs.items())
    assert [(list(part._forward_hooks), list(part._forward_pre_hooks)) for part in base.modules()] == hooks
    assert set(base.state_dict()) == set(weights)
    for key, tensor in base.state_dict().items():
        assert_same(tensor, weights[key], key)
    assert not hasattr(base, "peft_config")
    assert_rows_same(row_logits(base, batch), before, "unloaded")


@pytest.mark.parametrize("name", TWINS)
def test_loaded_is_bit_equal(name: str, tmp_path: Path) -> None:
    batch, model = batch_of(name), attach(TWINS[name].build())
    expected = row_logits(model, batch)
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(TWINS[name].build(), tmp_path)
    assert_rows_same(row_logits(loaded, batch), expected)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


@pytest.mark.parametrize("name", TWINS)
def test_rows_of_a_mixed_batch_have_their_own_adapter(name: str) -> None:
    batch, model = batch_of(name), attach(TWINS[name].build(), adapter="a")
    attach_more(model, ShiftConfig(layers_to_transform=1), "b", seed=6)
    allowed = model_budget(model, samples(name))
    mixed = row_logits(model, batch, adapter_names=["a", "__base__", "b"])
    alone = [row_logits(model, batch)[0], row_logits(plain(name), batch)[1]]
    model.set_adapter("b")
    alone.append(row_logits(model, batch)[2])
    for row, (actual, expected) in enumerate(zip(mixed, alone, strict=True)):
        assert_close(actual, expected, allowed, f"{name}, row {row}")
    assert_rows_same(row_logits(model, batch), row_logits(model, batch, adapter_names=["b"] * 3), "one kind")


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("name", ["gpt2", "llava_qwen2", "blip2_opt", "idefics"])
def test_rows_of_a_mixed_generation(name: str, beams: int) -> None:
    batch, model = batch_of(name), attach(TWINS[name].build(), ShiftConfig(only="residual"), "a")
    attach_more(model, ShiftConfig(only="mlp_output"), "b", seed=6)
    mixed = generated(model, batch, adapter_names=["a", "__base__", "b"], num_beams=beams)
    alone = [generated(model, batch, num_beams=beams)[0], generated(plain(name), batch, num_beams=beams)[1]]
    model.set_adapter("b")
    alone.append(generated(model, batch, num_beams=beams)[2])
    assert torch.equal(mixed, torch.stack(alone))


@pytest.mark.parametrize(
    "how", [{}, {"num_beams": 3}, {"cache_implementation": "static"}, {"use_cache": False}], ids=str
)
@pytest.mark.parametrize("name", SOME)
def test_the_first_forward_of_a_generation_is_known(name: str, how: dict[str, object]) -> None:
    """A state put at the last prompt token stays in the cache; without a cache every forward is a first one."""
    cached = "use_cache" not in how or name == "blip2_opt"  # it does not hand the wish on
    model = attach(TWINS[name].build(), LastStateConfig(layers_to_transform=0))
    state = interventions(model)["residual", 0]
    assert isinstance(state, LastState)
    for _ in range(2):
        state.calls.clear()
        generated(model, batch_of(name), **how)
        once = len(state.calls) // NEW_TOKENS  # some use a layer several times in a forward
        assert len(state.calls) == NEW_TOKENS * once > 0
        assert state.calls == [index < once or not cached for index in range(len(state.calls))]


@pytest.mark.parametrize("name", ["llama", "llava_qwen2", "qwen3_vl"])
def test_a_state_in_the_first_forward_is_one_patched_by_hand(name: str) -> None:
    batch, base = batch_of(name), TWINS[name].build()
    model = attach(TWINS[name].build(), LastStateConfig(layers_to_transform=1))
    every = attach(TWINS[name].build(), LastStateConfig(layers_to_transform=1, every_step=True))
    state = interventions(model)["residual", 1].last_state
    forwards = []

    def by_hand(module: nn.Module, args: object, output: Tensor) -> Tensor:
        forwards.append(output.shape[1])
        if len(forwards) > 1:
            return output
        return torch.cat([output[:, :-1], state.expand(len(output), 1, -1)], dim=1)

    base.get_submodule(find_places(base, "residual")[1].name).register_forward_hook(by_hand)
    patched = generated(base, batch)
    assert torch.equal(generated(model, batch), patched)
    assert forwards[1:] == [1] * (len(forwards) - 1)
    assert not torch.equal(generated(every, batch), patched)


@pytest.mark.parametrize("name", SOME)
def test_copies_are_independent(name: str) -> None:
    batch, model = batch_of(name), attach(TWINS[name].build())
    expected = row_logits(model, batch)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for module in interventions(model).values():
            module.shift_vector.zero_()
    assert_rows_same(row_logits(twin, batch), expected, "the copy")
    assert differs(row_logits(model, batch), expected)
    before = row_logits(model, batch)
    assert_rows_same(row_logits(twin.unload(), batch), row_logits(plain(name), batch), "the copy, unloaded")
    assert_rows_same(row_logits(model, batch), before, "the original after that")


@pytest.mark.parametrize("name", ["llama", "llava_qwen2"])
def test_several_are_switched_combined_in_order_and_deleted(name: str) -> None:
    batch, model = batch_of(name), attach(TWINS[name].build(), LastStateConfig(layers_to_transform=1), "state")
    with_state = row_logits(model, batch)
    model.base_model.set_adapter("state")
    attach_more(model, LastStateConfig(layers_to_transform=1, every_step=True), "other", seed=6)
    assert_rows_same(row_logits(model, batch), with_state, "a second one that is not active")
    model.set_adapter("other")
    with_other = row_logits(model, batch)
    assert differs([row[-1:] for row in with_other], [row[-1:] for row in with_state])
    for order, last in ((["state", "other"], with_other), (["other", "state"], with_state)):
        model.base_model.set_adapter(order)
        assert_rows_same(row_logits(model, batch), last, f"{order}: the last one decides")
    model.set_adapter("state")
    model.delete_adapter("other")
    assert_rows_same(row_logits(model, batch), with_state, "the other one deleted")
    model.delete_adapter("state")
    base = model.base_model.model  # PEFT's own wrapper wants one to be left
    assert_rows_same(row_logits(base, batch), row_logits(plain(name), batch), "all deleted")


def test_what_is_not_stored_is_not_in_the_file_and_not_missed(tmp_path: Path) -> None:
    model = attach(TWINS["llama"].build(), LastStateConfig())
    model.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "adapter_model.safetensors")
    assert len(stored) == 2
    assert all(key.endswith(".at_residual.hificl_interventions.last_state") for key in stored)
    batch = batch_of("llama")
    for low_memory in (False, True):
        loaded = PeftModel.from_pretrained(TWINS["llama"].build(), tmp_path, low_cpu_mem_usage=low_memory)
        assert_rows_same(row_logits(loaded, batch), row_logits(model, batch))
        assert not any(tensor.is_meta for tensor in (*loaded.parameters(), *loaded.buffers()))


def test_parameters_are_loaded_off_the_meta_device(tmp_path: Path) -> None:
    model, batch = attach(TWINS["llama"].build()), batch_of("llama")
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(TWINS["llama"].build(), tmp_path, low_cpu_mem_usage=True)
    assert_rows_same(row_logits(loaded, batch), row_logits(model, batch))


def test_the_model_loads_it_by_itself(tmp_path: Path) -> None:
    batch, model = batch_of("llava_qwen2"), attach(TWINS["llava_qwen2"].build())
    expected = row_logits(model, batch)
    model.save_pretrained(tmp_path)
    base = TWINS["llava_qwen2"].build()
    base.load_adapter(str(tmp_path))
    assert_rows_same(row_logits(base, batch), expected)
    base.disable_adapters()
    assert_rows_same(row_logits(base, batch), row_logits(plain("llava_qwen2"), batch))


@pytest.mark.parametrize("name", ["llama", "gpt_oss", "deepseek_v3", "qwen3_vl"])
def test_beside_virtual_pairs(name: str) -> None:
    """Pairs first, then what acts on the outputs of the heads; each goes and leaves the other."""
    batch, base = batch_of(name), TWINS[name].build()
    pairs = wrap(base, "pairs")
    with_pairs = row_logits(pairs, batch)
    both = attach(pairs.get_base_model(), ShiftConfig(only="head_output"), "shift")
    with_both = row_logits(both, batch)
    vectors = [module.shift_vector.detach() for module in interventions(both, "shift").values()]
    by_hand = wrap(TWINS[name].build(), "pairs")
    for place, vector in zip(find_places(by_hand, "head_output"), vectors, strict=True):
        on_place(by_hand, place, lambda activation, vector=vector: activation + vector)
    assert_rows_same(with_both, row_logits(by_hand, batch), "both")
    assert differs(with_both, with_pairs)
    both.unload()
    assert_rows_same(row_logits(base, batch), with_pairs, "pairs alone")
    pairs.unload()
    assert_rows_same(row_logits(base, batch), row_logits(plain(name), batch), "neither")
    assert not [part for part in base.modules() if "hificl" in type(getattr(part, "config", None)).__module__]


@pytest.mark.parametrize("name", SOME)
def test_gradients_reach_every_vector_through_checkpointing(name: str) -> None:
    batch = batch_of(name, "right")
    gradients = []
    for checkpointing in (False, True):
        model = attach(TWINS[name].build())
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        model.train()
        assert {key for key, p in model.named_parameters() if p.requires_grad} == {
            key for key, _ in model.named_parameters() if ".shift_vector" in key
        }
        (model(**batch, use_cache=False).logits ** 2).mean().backward()
        gradients.append([module.shift_vector.grad for module in interventions(model).values()])
    for plain_gradient, again in zip(*gradients, strict=True):
        assert plain_gradient.abs().sum() > 0
        assert_same(again, plain_gradient, name)


def test_half_precision_stays_what_it_is() -> None:
    model = attach(TWINS["llava_qwen2"].build().to(torch.bfloat16))
    assert {module.shift_vector.dtype for module in interventions(model).values()} == {torch.float32}
    batch = {
        key: value.to(torch.bfloat16) if value.is_floating_point() else value
        for key, value in batch_of("llava_qwen2").items()
    }
    assert {row.dtype for row in row_logits(model, batch)} == {torch.bfloat16}


def test_a_vector_of_each_layer_is_a_shift() -> None:
    """The toy is what it is taken for."""
    found = interventions(attach(TWINS["deepseek_v3"].build()))
    assert list(found) == [(site, layer) for site in SITES for layer in (0, 1)]
    assert all(isinstance(module, Shift) for module in found.values())
    assert {tuple(module.shift_vector.shape) for module in found.values()} == {(6, 9), (60,)}
