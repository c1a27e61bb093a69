"""The law of the start from demonstrations: with every token kept, a query alone gives what it gives behind them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
import transformers
from peft import get_peft_model
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

import hificl
from closeness import assert_close
from hificl.context.capture import Captured, capture_in
from hificl.context.written import write_whole
from hificl.errors import InputError

from .catalogue import TWINS
from .probes import model_budget
from .text_families import SIZES
from .twins import Sample, collate, spread_weights, text_ids

WINDOWED = ("gemma2", "cohere2", "gpt_oss", "gemma3", "aya_vision")
"""Families with a sliding window of five or six tokens: three of a context and two of a query fit."""

REFUSED = {
    "gpt2": "no rotary embedding that follows position ids",
    "opt": "no rotary embedding that follows position ids",
    "blip2_opt": "no rotary embedding that follows position ids",
    "paligemma": "tokens of a prompt see later ones",
    "hrm_text": "several times in one forward",
}
SEES_OWN_IMAGE = {"mllama": "cross_attention_mask", "idefics": "image_attention_mask"}
"""Families that are told for every token which images it sees, [tokens images ...]; images stand on axis 1 there."""

KV_HEADS_ONLY_IN_CONFIG = ("gpt_neox", "idefics")
"""The configs of these twins name key-value heads that their attention does not have."""

ROPE = {
    "default": {"rope_type": "default", "rope_theta": 10000.0},
    "linear": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 3.0},
    "llama3": {
        "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    },
    "yarn": {
        "rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 32,
    },
}  # fmt: skip
CHANGING: Mapping[str, dict[str, object]] = {
    "dynamic": {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0},
    "longrope": {
        "rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * 5, "long_factor": [4.0] * 5,
        "original_max_position_embeddings": 32,
    },
}  # fmt: skip


def parts(name: str) -> tuple[Sample, Sample]:
    """Return a context and a query."""
    if name in WINDOWED:
        context, query = TWINS[name].text_samples((3, 2), seed=3)
    else:
        context, query = TWINS[name].samples((9, 6), seed=3)
    return context, query


def behind_one_another(name: str, first: Sample, second: Sample) -> Sample:
    """Return one prompt of two; every token still sees the image of its own part alone."""
    own = SEES_OWN_IMAGE.get(name)
    tokens = {key: torch.cat([first.tokens[key], second.tokens[key]]) for key in first.tokens if key != own}
    if own is not None:
        seen, unseen = first.tokens[own], torch.zeros_like(second.tokens[own])
        rows = torch.cat([seen, torch.zeros_like(seen)], dim=1), torch.cat([unseen, second.tokens[own]], dim=1)
        tokens[own] = torch.cat(rows)
    axis = 0 if own is None else 1
    return Sample(tokens, {key: torch.cat([first.images[key], second.images[key]], dim=axis) for key in first.images})


def captured_by(model: PreTrainedModel, context: Sample) -> Captured:
    return capture_in(get_peft_model(model, hificl.HiFICLConfig(num_virtual_tokens=0)).eval(), collate([context]))


@torch.no_grad()
def logits_of(model: torch.nn.Module, prompt: Sample) -> Tensor:
    return model(**collate([prompt])).logits[0]


def check(
    model: PreTrainedModel, again: PreTrainedModel, whole: Sample, context: Sample, query: Sample, share: str
) -> None:
    """``again`` is the same model, to be adapted; ``whole`` is context and query in one prompt."""
    expected = logits_of(model, whole)[-len(query.tokens["input_ids"]) :]
    captured = captured_by(model, context)
    options: dict[str, object] = {"factorize_key": False, "factorize_value": False, "share": share}
    adapted = get_peft_model(again, hificl.HiFICLConfig(num_virtual_tokens=captured.tokens, **options)).eval()  # type: ignore[arg-type]
    write_whole(adapted, captured)
    budget = model_budget(model, [whole])
    assert_close(logits_of(adapted, query), expected, budget, "the query alone")
    assert (logits_of(model, query) - expected).abs().max() > 100 * budget, "the context does nothing"


@pytest.mark.parametrize("share", ["query", "kv"])
@pytest.mark.parametrize("name", [name for name in TWINS if name not in REFUSED])
def test_query_alone_is_as_behind_the_context(name: str, share: str) -> None:
    share = "query" if name in KV_HEADS_ONLY_IN_CONFIG else share
    context, query = parts(name)
    whole = behind_one_another(name, context, query)
    check(TWINS[name].build(), TWINS[name].build(), whole, context, query, share)


def rotary(rope: Mapping[str, object]) -> PreTrainedModel:
    """A Llama with this rotary embedding."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = transformers.LlamaConfig(**{**SIZES, "head_dim": 10, "rope_parameters": dict(rope)})
        return spread_weights(AutoModelForCausalLM.from_config(config).float().eval(), seed=7)


@pytest.mark.parametrize("kind", ROPE)
def test_every_rotation_that_depends_on_position_alone(kind: str) -> None:
    generator = torch.Generator().manual_seed(3)
    context, query = (Sample({"input_ids": text_ids(generator, length)}) for length in (23, 7))
    whole = behind_one_another("llama", context, query)
    check(rotary(ROPE[kind]), rotary(ROPE[kind]), whole, context, query, "query")


@pytest.mark.parametrize("kind", CHANGING)
def test_rotations_that_depend_on_the_length_are_refused(kind: str) -> None:
    context = Sample({"input_ids": text_ids(torch.Generator().manual_seed(3), 9)})
    with pytest.raises(InputError, match=f"rope_type '{kind}', whose frequencies change"):
        captured_by(rotary(CHANGING[kind]), context)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_moved_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(InputError, match=REFUSED[name]):
        captured_by(TWINS[name].build(), TWINS[name].samples((9,), seed=3)[0])


def test_layers_that_remember_otherwise_are_refused() -> None:
    sizes = {**SIZES, "layer_types": ["conv", "full_attention"], "block_multiple_of": 4}
    model = AutoModelForCausalLM.from_config(transformers.Lfm2Config(**sizes)).eval()
    with pytest.raises(InputError, match="layers of kind conv, which remember a text otherwise"):
        captured_by(model, Sample({"input_ids": text_ids(torch.Generator().manual_seed(3), 9)}))


@pytest.mark.parametrize("name", WINDOWED)
def test_a_context_beyond_the_window_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="sliding window is shorter than the 9 tokens"):
        captured_by(TWINS[name].build(), TWINS[name].text_samples((9,), seed=3)[0])


def test_capturing_leaves_the_model_as_it_was() -> None:
    context, query = parts("llama")
    model = TWINS["llama"].build()
    before = logits_of(model, query)
    wrapped = get_peft_model(model, hificl.HiFICLConfig(num_virtual_tokens=0)).eval()
    hooks = dict(model.get_decoder()._forward_pre_hooks)
    capture_in(wrapped, collate([context]))
    assert torch.equal(logits_of(wrapped, query), before)
    assert dict(model.get_decoder()._forward_pre_hooks) == hooks
