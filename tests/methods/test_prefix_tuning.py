"""Prefix tuning: ours is a key-value prefix without positions; PEFT's is tried before it is trained."""

from __future__ import annotations

import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PrefixTuningConfig
from transformers import DynamicCache

from closeness import assert_close
from hificl.errors import InputError
from hificl.methods import prefix_tuning
from hificl.methods.prefix_tuning import peft_config
from hificl.tuner import HiFICLConfig
from laws.grid_families import GRID_FAMILIES
from laws.twins import collate
from methods.small_decoder import HEAD_DIM, KV_HEADS, LAYERS, adapted, padded_batch, small_decoder
from training.tiny import load_tiny, save_tiny_llava

ANY: Any = types.SimpleNamespace(model=None)


def test_ours_is_a_cached_prefix_that_moves_no_position() -> None:
    """The base model with the learned keys and values in its cache, and the positions of the prompt told to it."""
    config = peft_config(ANY, {"num_virtual_tokens": 5})
    assert isinstance(config, HiFICLConfig)
    model = adapted(config)
    pairs: list[Any] = [module for module in model.modules() if hasattr(module, "key_full")]
    assert pairs[0].key_full.shape == (KV_HEADS, 5, HEAD_DIM)
    batch = padded_batch()
    cache = DynamicCache()
    for layer in range(LAYERS):
        stored = (pairs[layer].key_full.detach(), pairs[layer].value_full.detach())
        cache.update(*(tensor.expand(3, *tensor.shape).clone() for tensor in stored), layer)
    mask = torch.nn.functional.pad(batch["attention_mask"], (5, 0), value=1)
    with torch.no_grad():
        expected = small_decoder()(**batch | {"attention_mask": mask}, past_key_values=cache).logits
        found = model(**batch).logits
    real = batch["attention_mask"].bool()
    assert_close(found[real], expected[real], 1e-12 * expected.abs().max().item(), "logits")


def test_options_that_would_make_it_another_method_are_refused() -> None:
    plain: Any = peft_config(ANY, {})
    assert plain.num_virtual_tokens == 8
    with pytest.raises(InputError, match=r"share='query' would be no key-value prefix, whose share is 'kv'"):
        peft_config(ANY, {"share": "query"})
    with pytest.raises(InputError, match="implementation='mine' is unknown; choose 'hificl' or 'peft'"):
        peft_config(ANY, {"implementation": "mine"})


def test_pefts_own_runs_where_it_generates(tmp_path: Path) -> None:
    config = peft_config(load_tiny(save_tiny_llava(tmp_path)), {"implementation": "peft", "num_virtual_tokens": 3})
    assert isinstance(config, PrefixTuningConfig)
    assert (config.task_type, config.num_virtual_tokens) == ("CAUSAL_LM", 3)


def test_pefts_own_is_refused_where_it_cannot_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The image positions of Qwen3-VL do not count a prefix in the cache; samples of its twin stand in for pictures."""
    twin = GRID_FAMILIES["qwen3_vl"]
    monkeypatch.setattr(prefix_tuning, "trial_batch", lambda backbone: collate(twin.samples([9, 6]), "left"))
    backbone = replace(load_tiny(save_tiny_llava(tmp_path)), model=twin.build())
    message = r"PEFT's prefix tuning cannot run here \(\w+Error: .*\); use implementation='hificl'"
    with pytest.raises(InputError, match=message):
        peft_config(backbone, {"implementation": "peft"})
    assert not hasattr(backbone.model, "peft_config"), "the trial left something behind"
