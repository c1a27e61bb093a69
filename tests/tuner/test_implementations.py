"""Adapted models under flash and flex attention answer as under SDPA; what runs another way is told once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
import torch
from peft import PeftModel, get_peft_model
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask
from transformers import Gemma2Config, Gemma2ForCausalLM, masking_utils

from closeness import assert_close
from hificl import HiFICLConfig
from hificl.attention import notice
from hificl.errors import InputError
from tuner.implementations import (
    CLOSE,
    VOCABULARY,
    WINDOW,
    adapted,
    attend_through,
    attention_of,
    in_pieces_without_a_mask,
    in_three_pieces,
    left_padded,
    packed,
    prompt,
    right_padded,
    tokens,
)


@pytest.fixture(autouse=True)
def told_anew() -> Iterator[None]:
    notice._say.cache_clear()
    yield
    notice._say.cache_clear()


@pytest.fixture(autouse=True)
def block_masks_in_eager_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transformers compiles what makes a block mask, which takes a CPU longer than all of these tests."""
    monkeypatch.setattr(
        masking_utils, "create_block_mask", lambda *args, _compile, **options: create_block_mask(*args, **options)
    )


CALLS = [prompt, left_padded, right_padded, in_three_pieces, in_pieces_without_a_mask, packed]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
@pytest.mark.parametrize("window", [None, WINDOW], ids=["everything", "window"])
@pytest.mark.parametrize("implementation", ["flash_attention_2", "flash_attention_3", "flex_attention"])
def test_answers_and_gradients_are_those_under_sdpa(
    implementation: str, window: int | None, call: Callable[[PeftModel], Tensor]
) -> None:
    found = {}
    for name in ("sdpa", implementation):
        model = adapted(name, window)
        logits = call(model)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        found[name] = [logits, *torch.autograd.grad(logits.square().sum(), trained)]
    for tensor, wanted in zip(found[implementation], found["sdpa"], strict=True):
        assert_close(tensor, wanted, CLOSE * float(wanted.detach().abs().max()), "logits or a gradient")


@pytest.mark.parametrize("options", [{"mixing": "additive"}, {"compat": "official"}], ids=str)
@pytest.mark.parametrize("implementation", ["flash_attention_2", "flex_attention"])
def test_other_mixtures_are_served_too(implementation: str, options: dict[str, str]) -> None:
    wanted = left_padded(adapted("sdpa", **options))
    assert_close(left_padded(adapted(implementation, **options)), wanted, CLOSE * 100, "logits")


@pytest.mark.parametrize("implementation", ["flash_attention_2", "flex_attention"])
def test_a_soft_cap_goes_through_eager_attention_and_is_told_once(
    implementation: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = Gemma2Config(
        vocab_size=VOCABULARY, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3,
        num_key_value_heads=1, head_dim=8, query_pre_attn_scalar=8, sliding_window=WINDOW, attn_logit_softcapping=1.5,
    )  # fmt: skip
    torch.manual_seed(0)
    base = Gemma2ForCausalLM(config).double().eval()
    base.set_attn_implementation("eager")
    model = get_peft_model(base, HiFICLConfig(num_virtual_tokens=5, r=2, init_weights=False)).double().eval()
    with torch.no_grad(), caplog.at_level(logging.WARNING, logger="hificl"):
        wanted = left_padded(model)
        base.config._attn_implementation_internal = implementation
        assert_close(left_padded(model), wanted, CLOSE * 100, "logits")
        left_padded(model)
    told = [message for message in caplog.messages if "put in front" in message]
    assert [message.partition(":")[0] for message in told] == [
        "attention is called with softcap, which the fused path does not know"
    ]


@pytest.mark.parametrize(
    ("implementation", "keywords", "message"),
    [
        ("flash_attention_2", {"cache": object()}, "flash attention with a paged cache; .*auto_switch_to_flash=False"),
        ("flash_attention_2", {"block_table": torch.zeros(2)}, "flash attention with a paged cache"),
        ("paged|sdpa", {}, r"cannot join attn_implementation='paged\|sdpa'; call model.set_attn_implementation"),
        ("kernels-community/flash-attn2", {}, "cannot join attn_implementation='kernels-community"),
    ],
)
def test_what_cannot_be_exact_is_refused(implementation: str, keywords: dict[str, object], message: str) -> None:
    model = adapted("sdpa")
    model.base_model.model.config._attn_implementation_internal = implementation
    model.base_model.model.config._experts_implementation = "eager"
    attention = attention_of(model)
    query, key = torch.randn(1, 6, 7, 8).double(), torch.randn(1, 2, 7, 8).double()
    with pytest.raises(InputError, match=f"layers.0.self_attn: virtual pairs .*{message}"):
        attend_through(attention, query, key, None, **keywords)


def test_every_other_way_is_told_once_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    ids = tokens(rows=1)
    mask = torch.zeros(1, 1, 11, 11).double()
    with torch.no_grad(), caplog.at_level(logging.WARNING, logger="hificl"):
        adapted("sdpa")(input_ids=ids, attention_mask=mask)
        assert caplog.messages == []
        for _ in range(2):
            adapted("eager")(input_ids=ids)
            adapted("sdpa")(input_ids=ids, attention_mask=mask.clone().requires_grad_())
            adapted("sdpa")(input_ids=ids, sinks=torch.zeros(6))
    assert [message.partition(":")[0] for message in caplog.messages] == [
        "eager attention was chosen",
        "the attention mask wants a gradient",
        "attention is called with sinks, which the fused path does not know",
    ]
