"""Several adapters on one base: switch, delete, use two at once; merging is refused with the reason."""

from __future__ import annotations

import pytest
import torch

from .catalogue import TWINS
from .probes import (
    adapter_parameters,
    add,
    assert_differs,
    assert_rows_close,
    assert_rows_same,
    budget,
    row_logits,
    samples,
    wrap,
)
from .twins import collate

FAMILIES = ["llava_qwen2", "idefics", "phi3", "gpt_oss"]


@pytest.mark.parametrize("name", FAMILIES)
def test_switch_and_delete(name: str) -> None:
    batch = collate(samples(name), "left")
    first = row_logits(wrap(TWINS[name].build(), "a"), batch)
    second = row_logits(wrap(TWINS[name].build(), "b", seed=6, num_virtual_tokens=5, r=1), batch)
    assert_differs(first[0], second[0], budget(name), "the two adapters")
    model = wrap(TWINS[name].build(), "a")
    add(model, "b", seed=6)
    assert_rows_same(row_logits(model, batch), first)
    model.set_adapter("b")
    assert_rows_same(row_logits(model, batch), second)
    assert {key for key, p in model.named_parameters() if p.requires_grad} == {
        key for key, _ in adapter_parameters(model, "b")
    }
    model.delete_adapter("a")
    assert not list(adapter_parameters(model, "a"))
    assert_rows_same(row_logits(model, batch), second)


@pytest.mark.parametrize("name", FAMILIES)
def test_two_active_adapters_are_one_with_all_pairs(name: str) -> None:
    """The union of the pairs in one softmax: equal to a single adapter that holds both, in either order."""
    batch = collate(samples(name), "left")
    model = wrap(TWINS[name].build(), "a", factorize_key=False, factorize_value=False)
    add(model, "b", seed=6, factorize_key=False, factorize_value=False)
    whole = wrap(TWINS[name].build(), "whole", num_virtual_tokens=8, factorize_key=False, factorize_value=False)
    with torch.no_grad():
        parts = dict(adapter_parameters(model))
        for key, parameter in adapter_parameters(whole):
            parameter.copy_(
                torch.cat([parts[key.replace("hificl_kv.whole.", f"hificl_kv.{part}.")] for part in "ab"], 1)
            )
    expected = row_logits(whole, batch)
    for order in (["a", "b"], ["b", "a"]):
        model.base_model.set_adapter(order)
        assert_rows_close(row_logits(model, batch), expected, budget(name), f"{name} {order}")


@pytest.mark.parametrize("call", ["merge_adapter", "merge_and_unload"])
def test_merge_is_refused_with_the_reason_and_changes_nothing(call: str) -> None:
    model, batch = wrap(TWINS["llava_qwen2"].build()), collate(samples("llava_qwen2"))
    expected = row_logits(model, batch)
    with pytest.raises((ValueError, RuntimeError, NotImplementedError), match=r"(?i)merge") as refusal:
        getattr(model, call)()
    assert len(str(refusal.value)) > 40, "a reason is a sentence"
    assert_rows_same(row_logits(model, batch), expected)


def test_trainable_count_is_the_closed_formula() -> None:
    """Layers x query heads x r x (2 n + head_dim + value_dim); DeepSeek has keys of 14 and values of 9."""
    pairs, rank = 3, 2
    for name, layers, heads, head_dim, value_dim in (
        ("llava_qwen2", 2, 6, 10, 10),
        ("qwen3", 2, 6, 14, 14),
        ("deepseek_v3", 2, 6, 14, 9),
        ("gemma3", 3, 6, 14, 14),
    ):
        model = wrap(TWINS[name].build(), num_virtual_tokens=pairs, r=rank)
        expected = layers * heads * rank * (2 * pairs + head_dim + value_dim)
        assert model.get_nb_trainable_parameters()[0] == expected, name
