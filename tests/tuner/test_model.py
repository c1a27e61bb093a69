"""What an adapted model does beside the laws: autocast, whole modules, devices, masks, and refusals."""

from __future__ import annotations

import copy
import gc
import weakref

import pytest
import torch
from peft import PeftModel, get_peft_model
from transformers import DeepseekV32Config, DeepseekV32ForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig
from transformers import LlamaForCausalLM as Llama

from closeness import assert_close, assert_same, rounding_budget
from hificl import HiFICLConfig
from hificl.errors import InputError
from hificl.tuner import attend, find_sites

VOCABULARY = 89


def llama(**options) -> Llama:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=48, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=6, num_key_value_heads=2, max_position_embeddings=64, **options,
    )  # fmt: skip
    model = Llama(config).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0, 0.3)
    return model


def adapted(model: torch.nn.Module, virtual: int = 5, **options) -> PeftModel:
    return get_peft_model(model, HiFICLConfig(num_virtual_tokens=virtual, r=2, init_weights=False, **options)).eval()


def tokens(rows: int = 3, length: int = 11) -> torch.Tensor:
    return torch.randint(0, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("options", [{}, {"compat": "official"}, {"mixing": "additive"}], ids=str)
def test_autocast_trains_and_is_as_exact_as_without_it(options: dict) -> None:
    """Without a cache, autocast hands over float32 queries beside bfloat16 values."""
    model = adapted(llama(), **options)
    ids = tokens()
    double = copy.deepcopy(model).double()(input_ids=ids, use_cache=False).logits
    half = copy.deepcopy(model).to(torch.bfloat16)(input_ids=ids, use_cache=False).logits
    with torch.autocast("cpu", torch.bfloat16):
        output = model(input_ids=ids, labels=ids, use_cache=False)
    output.loss.backward()
    assert_close(output.logits.double(), double, rounding_budget(half.double(), double, margin=2.0), "logits")
    grads = [parameter.grad for parameter in model.parameters() if parameter.requires_grad]
    assert all(grad is not None and torch.isfinite(grad).all() and grad.abs().sum() > 0 for grad in grads)


def test_whole_modules_come_back_on_unload_and_follow_their_rows() -> None:
    base = llama()
    ids = tokens(rows=2)
    with torch.no_grad():
        plain = base(input_ids=ids).logits
        model = adapted(base, modules_to_save=["lm_head"])
        model.base_model.model.lm_head.modules_to_save["default"].weight.add_(0.7)
        alone = model(input_ids=ids).logits
        mixed = model(input_ids=ids, adapter_names=["default", "__base__"]).logits
        budget = rounding_budget(plain, copy.deepcopy(model).unload().double()(input_ids=ids).logits)
        assert_close(mixed[0], alone[0], budget, "row with the adapter")
        assert_close(mixed[1], plain[1], budget, "row of the base")
        unloaded = model.unload()
        assert type(unloaded.lm_head) is torch.nn.Linear
        assert_same(unloaded(input_ids=ids).logits, plain)


def test_rows_may_have_adapters_without_pairs() -> None:
    model = adapted(llama(), virtual=0)
    model.add_adapter("other", HiFICLConfig(num_virtual_tokens=4, r=2, init_weights=False))
    ids = tokens(rows=2)
    with torch.no_grad():
        mixed = model(input_ids=ids, adapter_names=["default", "other"]).logits
        without = model(input_ids=ids).logits
        with model.disable_adapter():
            assert_same(model(input_ids=ids).logits, without)
        model.set_adapter("other")
        budget = rounding_budget(without, copy.deepcopy(model).unload().double()(input_ids=ids).logits)
        assert_close(mixed[0], without[0], budget, "row without pairs")
        assert_close(mixed[1], model(input_ids=ids).logits[1], budget, "row with pairs")


def test_a_later_adapter_goes_where_the_model_is_now() -> None:
    model = adapted(llama()).to("meta")
    model.add_adapter("later", HiFICLConfig(num_virtual_tokens=3, r=2))
    devices = {name: parameter.device.type for name, parameter in model.named_parameters() if ".later." in name}
    assert devices
    assert set(devices.values()) == {"meta"}


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32], ids=str)
def test_masks_are_not_kept_alive(dtype: torch.dtype) -> None:
    model, masks = adapted(llama()), []
    for _ in range(3):
        visible = torch.ones(11, 11, dtype=torch.bool).tril()[None, None]
        mask = visible if dtype == torch.bool else torch.zeros(visible.shape).masked_fill(~visible, -torch.inf)
        with torch.no_grad():
            model(input_ids=tokens(rows=1), attention_mask=mask)
        masks.append(weakref.ref(mask))
        del mask, visible
    gc.collect()
    assert [mask() for mask in masks] == [None, None, None]


@pytest.mark.parametrize("kind", ["packed", "window"])
def test_masks_of_queries_by_keys_are_no_padding(kind: str) -> None:
    """The last query of a packed or windowed prompt does not see the first keys; they are no padding for that."""
    model = adapted(llama())
    ids = tokens(rows=1)
    places = torch.arange(11)
    near = (places[:, None] - places[None] < 3) if kind == "window" else (places[:, None] // 6 == places[None] // 6)
    mask = (near & (places[:, None] >= places[None]))[None, None]
    with torch.no_grad():
        given = model(input_ids=ids, attention_mask=mask, position_ids=places[None]).logits
        assert_same(model(input_ids=ids, attention_mask=mask).logits, given)
        changed = ids.clone()
        changed[0, -1] = (changed[0, -1] + 1) % VOCABULARY
        after = model(input_ids=changed, attention_mask=mask).logits
        assert_same(after[:, :-1], given[:, :-1])


def test_positions_given_in_their_place_are_left_alone() -> None:
    model = adapted(llama()).base_model.model
    ids, mask = tokens(rows=1), torch.ones(1, 11, dtype=torch.long)
    mask[0, :4] = 0
    places = torch.arange(11)[None]
    with torch.no_grad():
        named = model(input_ids=ids, attention_mask=mask, position_ids=places).logits
        assert_same(model(ids, mask, places).logits, named)
        assert not torch.equal(model(ids, mask).logits[:, 4:], named[:, 4:])


def test_token_types_stay_on_the_fused_path(monkeypatch: pytest.MonkeyPatch) -> None:
    model = adapted(llama())

    def slow(*_: object) -> None:
        raise AssertionError("the slow path was taken")

    monkeypatch.setattr(attend, "_prepended", slow)
    with torch.no_grad():
        model(input_ids=tokens(), mm_token_type_ids=torch.zeros(3, 11, dtype=torch.long))
    with pytest.raises(AssertionError, match="slow path"):
        model(input_ids=tokens(), sinks=torch.zeros(6))


def test_a_module_that_reads_the_name_of_its_implementation_is_refused() -> None:
    with torch.device("meta"):
        model = DeepseekV32ForCausalLM(DeepseekV32Config(num_hidden_layers=2, hidden_size=64, vocab_size=97))
    with pytest.raises(InputError, match=r"layers\.0\.self_attn .* computes differently by the name.*exclude_modules"):
        get_peft_model(model, HiFICLConfig())
    with torch.device("meta"):
        plain = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=32, n_head=2))
        switched = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=32, n_head=2, reorder_and_upcast_attn=True))
    assert not any(site.reads_implementation for site in find_sites(plain).values())
    assert all(site.reads_implementation for site in find_sites(switched).values())


def test_layers_that_do_not_exist_are_named_with_those_that_do() -> None:
    with pytest.raises(InputError, match=r"layers_to_transform=\[99\] leaves none of the 2 .*layers\.0.*layers\.1"):
        get_peft_model(llama(), HiFICLConfig(layers_to_transform=[99]))


@pytest.mark.parametrize("action", ["merge_adapter", "unmerge_adapter", "merge_and_unload"])
def test_merging_is_refused_with_the_reason(action: str) -> None:
    with pytest.raises(ValueError, match="depends on the query"):
        getattr(adapted(llama()).base_model, action)()
