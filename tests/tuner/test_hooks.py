"""Places and functions at them, beside the laws: refusals by name, copies, layers that flatten their rows."""

from __future__ import annotations

import copy

import pytest
import torch
from peft import get_peft_model
from transformers import (
    DeepseekV32Config,
    DeepseekV32ForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

from hificl.errors import InputError
from hificl.tuner import SITES, find_places, interventions, on_place
from laws.toys import ShiftConfig

VOCABULARY = 61


def opt() -> PreTrainedModel:
    torch.manual_seed(0)
    config = OPTConfig(
        vocab_size=VOCABULARY, hidden_size=30, ffn_dim=22, num_hidden_layers=2, num_attention_heads=3,
        word_embed_proj_dim=30, max_position_embeddings=40,
    )  # fmt: skip
    return OPTForCausalLM(config).eval()


def test_an_unknown_site_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"site='mlp' is unknown; choose 'head_output', .*'residual'"):
        find_places(opt(), "mlp")


def test_a_layer_without_a_feed_forward_part_of_its_own_is_named() -> None:
    """T5 nests its parts in a list; the output of what holds its feed-forward includes the residual stream."""
    with torch.device("meta"):
        model = T5ForConditionalGeneration(
            T5Config(d_model=24, d_kv=7, num_heads=3, num_layers=2, d_ff=22, vocab_size=61)
        )
    assert [place.head_dim for place in find_places(model, "attention_output")] == [7, 7]
    for site in ("mlp_output", "residual"):
        with pytest.raises(InputError, match=r"block\.0\.layer\.0\.SelfAttention \(T5Attention\): no layer above it"):
            find_places(model, site)


def test_a_module_that_reads_the_name_of_its_implementation_has_no_head_output() -> None:
    with torch.device("meta"):
        model = DeepseekV32ForCausalLM(DeepseekV32Config(num_hidden_layers=2, hidden_size=64, vocab_size=VOCABULARY))
    with pytest.raises(InputError, match=r"layers\.0\.self_attn .* computes differently .* another site"):
        on_place(model, find_places(model, "head_output")[0], torch.zeros_like)
    on_place(model, find_places(model, "attention_output")[0], torch.zeros_like).remove()


@pytest.mark.parametrize("site", SITES)
def test_copies_have_hooks_of_their_own(site: str) -> None:
    """Rows are told apart by what the copy sees, although OPT flattens them before its feed-forward."""
    shapes: list[tuple[int, ...]] = []
    model = opt()
    place = find_places(model, site)[1]
    handle = on_place(model, place, lambda activation: shapes.append(tuple(activation.shape)))
    twin = copy.deepcopy(model)
    handle.remove()
    with torch.no_grad():
        model(input_ids=torch.ones(2, 7, dtype=torch.long))
        assert shapes == []
        twin(input_ids=torch.ones(3, 5, dtype=torch.long))
        twin(input_ids=torch.ones(4, 1, dtype=torch.long))
    token = (3, 10) if site == "head_output" else (30,)
    assert shapes == [(3, 5, *token), (4, 1, *token)]


def test_places_stay_when_there_are_sidecars() -> None:
    model = opt()
    before = {site: find_places(model, site) for site in SITES}
    adapted = get_peft_model(model, ShiftConfig())
    interventions(adapted)["residual", 0].register_buffer("a_matrix", torch.zeros(2, 3))  # as a feed-forward part has
    assert {site: find_places(model, site) for site in SITES} == before
