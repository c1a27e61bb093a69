"""The laws on the plain models: what they keep, an adapter must keep; what they break is listed with the reason."""

from __future__ import annotations

import pytest
import torch

from closeness import assert_close, deviation

from .catalogue import SEES_LATER_TOKENS, TWINS
from .probes import assert_differs, assert_rows_close, generated, model_budget, plain, row_logits, samples
from .twins import TEXT_IDS, collate

CASES = [(name, kernel) for name, twin in TWINS.items() for kernel in twin.kernels]
WITH_IMAGE = [name for name in TWINS if samples(name)[0].images]


@pytest.mark.parametrize(("name", "kernel"), CASES)
def test_row_of_a_batch_is_a_batch_of_one(name: str, kernel: str) -> None:
    model, prompts = plain(name, kernel), samples(name)
    alone = [row_logits(model, collate([prompt]))[0] for prompt in prompts]
    together = row_logits(model, collate(prompts))
    assert_rows_close(together, alone, model_budget(model, prompts), f"{name} {kernel}, batch against one")


@pytest.mark.parametrize(("name", "kernel"), CASES)
def test_left_padding_is_right_padding_with_mask_derived_positions(name: str, kernel: str) -> None:
    model, prompts = plain(name, kernel), samples(name)
    left = collate(prompts, "left")
    positions = TWINS[name].positions(left["attention_mask"])
    assert_rows_close(
        row_logits(model, left, **positions),
        row_logits(model, collate(prompts)),
        model_budget(model, prompts),
        f"{name} {kernel}, left against right",
    )


@pytest.mark.parametrize("name", TWINS)
def test_cached_generation_is_uncached_generation(name: str) -> None:
    batch = collate(samples(name), "left")
    for beams in (1, 3):
        cached = generated(plain(name), batch, num_beams=beams)
        assert torch.equal(cached, generated(plain(name), batch, num_beams=beams, use_cache=False))


def later_token_deviation(name: str) -> float:
    """Change the last token of each row; return how far the logits of earlier tokens move."""
    batch = collate(samples(name), "left")
    changed = {**batch, "input_ids": batch["input_ids"].clone()}
    changed["input_ids"][:, -1] = TEXT_IDS[1] - changed["input_ids"][:, -1]
    before, after = row_logits(plain(name), batch), row_logits(plain(name), changed)
    return max(deviation(new[:-1], old[:-1]) for new, old in zip(after, before, strict=True))


@pytest.mark.parametrize("name", [name for name in TWINS if name != "paligemma"])
def test_later_token_changes_nothing_earlier(name: str) -> None:
    assert later_token_deviation(name) <= model_budget(plain(name), samples(name))


def test_paligemma_prompt_sees_later_tokens() -> None:
    """The listed exception is real."""
    assert "paligemma" in SEES_LATER_TOKENS
    assert later_token_deviation("paligemma") > 100 * model_budget(plain("paligemma"), samples("paligemma"))


def test_gemma3_image_tokens_see_each_other() -> None:
    """The listed exception is real: the last token of an image changes its first one, but no text before it."""
    assert "gemma3" in SEES_LATER_TOKENS
    model, prompts = plain("gemma3"), samples("gemma3")[:1]
    kinds = prompts[0].tokens["token_type_ids"][None]
    embeddings = torch.randn(1, kinds.shape[1], 60, generator=torch.Generator().manual_seed(3))
    changed = embeddings.clone()
    first, last = (int(kinds[0].nonzero()[end]) for end in (0, -1))
    changed[:, last] += 1.0
    before, after = (
        model(inputs_embeds=values, token_type_ids=kinds).logits.detach() for values in (embeddings, changed)
    )
    budget = model_budget(model, prompts)
    assert_differs(after[0, first], before[0, first], budget, "first image token")
    assert_close(after[0, :first], before[0, :first], 0.0, "text before the image")


@pytest.mark.parametrize("name", WITH_IMAGE)
def test_image_reaches_the_logits(name: str) -> None:
    """A twin that ignored its image would prove nothing about it."""
    model, prompts = plain(name), samples(name)
    batch = collate(prompts)
    changed = {**batch, "pixel_values": batch["pixel_values"].flip(0)}
    budget = model_budget(model, prompts)
    assert_differs(row_logits(model, changed)[0], row_logits(model, batch)[0], budget, name)


@pytest.mark.parametrize("name", [name for name in WITH_IMAGE if TWINS[name].text_only])
def test_prompt_without_image_runs(name: str) -> None:
    batch = collate(TWINS[name].text_samples((7, 4)), "left")
    assert all(torch.isfinite(row).all() for row in row_logits(plain(name), batch))
