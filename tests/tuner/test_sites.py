"""Sites are found by structure, and parameter counts on real geometries are those of the paper."""

from __future__ import annotations

import pytest
import torch
from peft import get_peft_model
from torch import nn
from transformers import MptConfig, MptForCausalLM

from hificl import BACKBONES, HiFICLConfig
from hificl.backbones.geometry import build_on_meta
from hificl.errors import InputError
from hificl.tuner import find_sites

# methods.md 3.13: 2 L H r (n + d) = 2 * 32 * 32 * 8 * (8 + 128), and the counts of its rank table
PUBLISHED = {(8, 1): 278_528, (8, 4): 1_114_112, (8, 8): 2_228_224, (4, 8): 2_162_688, (16, 16): 4_718_592}
REAL = ("idefics2", "llava-interleave")


@pytest.fixture(scope="module", params=REAL)
def on_meta(request: pytest.FixtureRequest) -> nn.Module:
    return build_on_meta(BACKBONES[request.param])


def test_counts_of_the_paper(on_meta: nn.Module) -> None:
    for (virtual, rank), count in PUBLISHED.items():
        with torch.device("meta"):
            model = get_peft_model(on_meta, HiFICLConfig(num_virtual_tokens=virtual, r=rank))
        assert model.get_nb_trainable_parameters()[0] == count
        model.unload()


def test_full_rank_and_shared_counts(on_meta: nn.Module) -> None:
    site = next(iter(find_sites(on_meta).values()))
    full = HiFICLConfig(factorize_key=False, factorize_value=False)
    shared = HiFICLConfig(share="kv")
    counts = []
    for config in (full, shared):
        with torch.device("meta"):
            model = get_peft_model(on_meta, config)
        counts.append(model.get_nb_trainable_parameters()[0])
        model.unload()
    assert counts == [2 * 32 * 32 * 8 * 128, 2 * 32 * site.kv_heads * 8 * (8 + 128)]


def test_a_model_that_computes_its_own_attention_is_named() -> None:
    config = MptConfig(d_model=32, n_heads=4, n_layers=1, vocab_size=31, max_seq_len=16)
    with torch.device("meta"):
        model = MptForCausalLM(config)
    with pytest.raises(InputError, match=r"transformer\.blocks\.0\.attn \(MptAttention\) computes its own attention"):
        find_sites(model)


def test_matching_something_else_is_refused_by_name(on_meta: nn.Module) -> None:
    with torch.device("meta"), pytest.raises(InputError, match=r"q_proj \(Linear\), which is not an attention module"):
        get_peft_model(on_meta, HiFICLConfig(target_modules=["q_proj"]))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"num_virtual_tokens": -1}, "num_virtual_tokens=-1 must be an integer that is not negative"),
        ({"r": 2.5}, "r=2.5 must be an integer"),
        ({"r": True}, "r=True must be an integer"),
        ({"share": "head"}, "share='head' is unknown; choose 'query' or 'kv'"),
        ({"mixing": "sum"}, "mixing='sum' is unknown"),
        ({"compat": "v2"}, "compat='v2' is unknown"),
    ],
)
def test_options_that_no_adapter_can_have(option: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        HiFICLConfig(**option)
