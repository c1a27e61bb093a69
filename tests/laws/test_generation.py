"""Generated tokens do not depend on the cache, on the batch, or on how the cache is laid out."""

from __future__ import annotations

import pytest
import torch

from .catalogue import TWINS
from .probes import adapted, generated, plain, row_logits, samples
from .twins import collate


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("name", TWINS)
def test_cached_is_uncached(name: str, beams: int) -> None:
    model, batch = adapted(name), collate(samples(name), "left")
    cached = generated(model, batch, num_beams=beams)
    assert torch.equal(cached, generated(model, batch, num_beams=beams, use_cache=False))
    if beams == 1:
        assert not torch.equal(cached, generated(plain(name), batch)), "the adapter changes no token: nothing is shown"


@pytest.mark.parametrize("name", TWINS)
def test_row_of_a_batch_is_a_batch_of_one(name: str) -> None:
    model, prompts = adapted(name), samples(name)
    alone = torch.cat([generated(model, collate([prompt])) for prompt in prompts])
    assert torch.equal(generated(model, collate(prompts, "left")), alone)


@pytest.mark.parametrize("name", TWINS)
def test_first_token_is_the_argmax_of_a_forward(name: str) -> None:
    """``generate`` passes position ids and prepared masks, a plain forward does not: both mean the same."""
    model, batch = adapted(name), collate(samples(name), "left")
    last = torch.stack([row[-1] for row in row_logits(model, batch)])
    last[:, model.generation_config.suppress_tokens] = -torch.inf
    assert torch.equal(last.argmax(-1), generated(model, batch)[:, 0])


@pytest.mark.parametrize("name", ["llama", "qwen3", "llava_qwen2", "phi3", "gemma3"])
def test_static_cache_is_dynamic_cache(name: str) -> None:
    model, batch = adapted(name), collate(samples(name), "left")
    static = generated(model, batch, cache_implementation="static", disable_compile=True)
    assert torch.equal(static, generated(model, batch))
