"""A saved adapter is the adapter: same bits on a fresh base, nothing but its own tensors, nothing missing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import AutoPeftModelForCausalLM, LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

import hificl

from .catalogue import TWINS
from .probes import adapted, adapter_parameters, assert_rows_same, draw_factors, row_logits, samples, wrap
from .twins import collate

WEIGHTS = "adapter_model.safetensors"


def saved(name: str, folder: Path, **options: object) -> Path:
    """Save a fresh adapter of the twin into ``folder``."""
    wrap(TWINS[name].build(), **options).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", TWINS)
def test_loaded_is_bit_equal(name: str, tmp_path: Path) -> None:
    batch = collate(samples(name), "left")
    model = wrap(TWINS[name].build())
    expected = row_logits(model, batch)
    model.save_pretrained(tmp_path)
    assert not list(tmp_path.glob("*.bin")), "no pickle"
    loaded = PeftModel.from_pretrained(TWINS[name].build(), tmp_path)
    assert_rows_same(row_logits(loaded, batch), expected)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


@pytest.mark.parametrize("name", ["llava_qwen2", "idefics", "deepseek_v3", "gpt2"])
@pytest.mark.parametrize("low_memory", [False, True])
def test_loaded_for_training_on_or_off_the_meta_device(name: str, low_memory: bool, tmp_path: Path) -> None:
    saved(name, tmp_path)
    loaded = PeftModel.from_pretrained(TWINS[name].build(), tmp_path, is_trainable=True, low_cpu_mem_usage=low_memory)
    assert {key for key, p in loaded.named_parameters() if p.requires_grad} == {
        key for key, _ in adapter_parameters(loaded)
    }
    batch = collate(samples(name))
    assert_rows_same(row_logits(loaded.eval(), batch), row_logits(wrap(TWINS[name].build()), batch))


def test_file_holds_the_factors_of_one_adapter_and_no_names_of_it(tmp_path: Path) -> None:
    adapted("llava_qwen2").save_pretrained(tmp_path)
    for adapter, pairs in (("a", 3), ("b", 5)):
        tensors = load_file(tmp_path / adapter / WEIGHTS)
        assert len(tensors) == 4 * 2
        assert all(f".{adapter}" not in key for key in tensors)
        assert {tensor.shape[1] for tensor in tensors.values()} == {pairs, 2 if adapter == "a" else 1}
        config = json.loads((tmp_path / adapter / "adapter_config.json").read_text())
        assert config["peft_type"] == "HIFICL"
        assert config["num_virtual_tokens"] == pairs


def test_config_comes_back_as_it_was(tmp_path: Path) -> None:
    config = hificl.HiFICLConfig(num_virtual_tokens=7, r=3, share="kv", layers_to_transform=[1], factorize_key=False)
    config.save_pretrained(tmp_path)
    assert hificl.HiFICLConfig.from_pretrained(tmp_path).to_dict() == config.to_dict()


def test_auto_class_finds_base_and_adapter(tmp_path: Path) -> None:
    TWINS["qwen3"].build().save_pretrained(tmp_path / "base")
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    model = wrap(base, task_type="CAUSAL_LM")
    batch = collate(samples("qwen3"), "left")
    expected = row_logits(model, batch)
    model.save_pretrained(tmp_path / "adapter")
    loaded = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "adapter")
    assert_rows_same(row_logits(loaded, batch), expected)


def test_image_text_auto_class_takes_the_adapter_folder(tmp_path: Path) -> None:
    TWINS["llava_qwen2"].build().save_pretrained(tmp_path / "base")
    model = wrap(AutoModelForImageTextToText.from_pretrained(tmp_path / "base"))
    batch = collate(samples("llava_qwen2"), "left")
    expected = row_logits(model, batch)
    model.save_pretrained(tmp_path / "adapter")
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path / "adapter").eval()
    assert_rows_same(row_logits(loaded, batch), expected)


@pytest.mark.parametrize("name", ["llava_mistral", "qwen3_vl", "idefics", "phi3", "llama"])
def test_native_load_and_add_adapter(name: str, tmp_path: Path) -> None:
    """The model's own methods, without PeftModel: load, switch off and on, add, delete."""
    batch = collate(samples(name), "left")
    expected = row_logits(wrap(TWINS[name].build()), batch)
    plain = TWINS[name].build()
    untouched = row_logits(plain, batch)
    plain.load_adapter(str(saved(name, tmp_path)))
    assert_rows_same(row_logits(plain, batch), expected)
    plain.disable_adapters()
    assert_rows_same(row_logits(plain, batch), untouched)
    plain.enable_adapters()
    plain.add_adapter(hificl.HiFICLConfig(num_virtual_tokens=5, r=1), adapter_name="other")
    draw_factors(plain, "other", seed=8)
    assert not torch.equal(row_logits(plain, batch)[0], expected[0])
    plain.set_adapter("default")
    assert_rows_same(row_logits(plain, batch), expected)
    plain.delete_adapter("other")
    assert_rows_same(row_logits(plain, batch), expected)


def edited(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> Path:
    """Rewrite the weights file through ``change``, a function of its tensors."""
    save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS)
    return folder


@pytest.mark.parametrize("old", [r"model\.language_model", r"base_model\.model\.model\.language_model"])
def test_keys_are_matched_by_index_under_another_module_path(old: str, tmp_path: Path) -> None:
    """An adapter that was saved under an older module tree loads; PEFT would skip every tensor of it."""
    folder = edited(
        saved("llava_qwen2", tmp_path),
        lambda tensors: {
            re.sub(rf"(.*){old}\.layers", r"base_model.model.language_model.model.layers", key): value.clone()
            for key, value in tensors.items()
        },
    )
    assert all(".language_model.model.layers." in key for key in load_file(folder / WEIGHTS))
    batch = collate(samples("llava_qwen2"))
    loaded = PeftModel.from_pretrained(TWINS["llava_qwen2"].build(), folder)
    assert_rows_same(row_logits(loaded, batch), row_logits(wrap(TWINS["llava_qwen2"].build()), batch))


def test_missing_key_is_refused(tmp_path: Path) -> None:
    gone = []

    def drop_one(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        gone.append(sorted(tensors)[0])
        return {key: value for key, value in tensors.items() if key != gone[0]}

    folder = edited(saved("llava_qwen2", tmp_path), drop_one)
    with pytest.raises(ValueError, match=r"layers\.0.*hificl_kv\.key"):
        PeftModel.from_pretrained(TWINS["llava_qwen2"].build(), folder)


def test_extra_key_is_refused(tmp_path: Path) -> None:
    folder = edited(
        saved("llava_qwen2", tmp_path),
        lambda tensors: {**tensors, sorted(tensors)[0].replace("layers.0", "layers.9"): torch.zeros(2)},
    )
    with pytest.raises(ValueError, match=r"layers\.9"):
        PeftModel.from_pretrained(TWINS["llava_qwen2"].build(), folder)


def test_truncated_file_is_refused(tmp_path: Path) -> None:
    folder = saved("llava_qwen2", tmp_path)
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Exception, match=r"(?i)safetensors|header|file|incomplete"):
        PeftModel.from_pretrained(TWINS["llava_qwen2"].build(), folder)


@pytest.mark.parametrize(("maker", "taker"), [("llava_qwen2", "idefics2"), ("qwen3", "qwen2")])
def test_adapter_for_another_geometry_is_refused_with_both_shapes(maker: str, taker: str, tmp_path: Path) -> None:
    """Both have six heads, the one of 10 numbers and the other of 14."""
    folder = saved(maker, tmp_path)
    with pytest.raises(ValueError, match=r"(?s)(?=.*6, 2, 10)(?=.*6, 2, 14)"):
        PeftModel.from_pretrained(TWINS[taker].build(), folder)


def test_stacked_on_lora_saves_only_its_own_weights(tmp_path: Path) -> None:
    base = TWINS["llava_qwen2"].build()
    lora = get_peft_model(base, LoraConfig(r=2, target_modules=r".*language_model.*\.(q_proj|v_proj)"))
    both = wrap(lora.get_base_model(), "pairs")
    batch = collate(samples("llava_qwen2"))
    row_logits(both, batch)
    both.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "pairs" / WEIGHTS)
    assert len(tensors) == 4 * 2
    assert not [key for key in tensors if "lora" in key]
