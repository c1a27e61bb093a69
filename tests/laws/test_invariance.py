"""The laws of the base hold with an adapter: batch size, padding side, kernel and later tokens do not matter."""

from __future__ import annotations

import pytest

from closeness import assert_close, deviation

from .catalogue import SEES_LATER_TOKENS, TWINS
from .probes import adapted, assert_differs, assert_rows_close, budget, plain, row_logits, samples, wrap
from .twins import TEXT_IDS, collate

CASES = [(name, kernel) for name, twin in TWINS.items() for kernel in twin.kernels]


@pytest.mark.parametrize(("name", "kernel"), CASES)
def test_row_of_a_batch_is_a_batch_of_one(name: str, kernel: str) -> None:
    model, prompts = adapted(name, kernel), samples(name)
    alone = [row_logits(model, collate([prompt]))[0] for prompt in prompts]
    assert_rows_close(row_logits(model, collate(prompts)), alone, budget(name, kernel), f"{name} {kernel}")


@pytest.mark.parametrize(("name", "kernel"), CASES)
def test_left_padding_is_right_padding_without_position_ids(name: str, kernel: str) -> None:
    """Virtual keys are not rotated, so positions count: the tuner must derive them from the mask."""
    model, prompts = adapted(name, kernel), samples(name)
    left, right = (row_logits(model, collate(prompts, side)) for side in ("left", "right"))
    assert_rows_close(left, right, budget(name, kernel), f"{name} {kernel}, left against right")


@pytest.mark.parametrize("name", TWINS)
def test_padding_of_a_batch_of_one(name: str) -> None:
    """One row of positions may be the model's own count or knows nothing of padding: both must come out right."""
    model, prompts = adapted(name), samples(name)
    expected = row_logits(model, collate(prompts[1:2]))
    for padding in ("left", "right"):
        padded = {key: value[:1] for key, value in collate(prompts[1:], padding).items()}
        batch = {**padded, **{key: value for key, value in collate(prompts[1:2]).items() if key in prompts[1].images}}
        assert_rows_close(row_logits(model, batch), expected, budget(name), f"{name}, padded {padding}")


@pytest.mark.parametrize("name", [name for name, twin in TWINS.items() if not twin.own_positions])
def test_given_position_ids_are_respected(name: str) -> None:
    """Mask-derived ids that the caller gives change nothing; others do."""
    model, batch = adapted(name), collate(samples(name), "left")
    own = TWINS[name].positions(batch["attention_mask"])["position_ids"]
    expected = row_logits(model, batch)
    assert_rows_close(row_logits(model, batch, position_ids=own), expected, budget(name), name)
    assert_differs(row_logits(model, batch, position_ids=own + 3)[0], expected[0], budget(name), name)


@pytest.mark.parametrize("name", [name for name, twin in TWINS.items() if "sdpa" in twin.kernels])
def test_eager_is_sdpa(name: str) -> None:
    for padding in ("left", "right"):
        batch = collate(samples(name), padding)
        eager, sdpa = (row_logits(adapted(name, kernel), batch) for kernel in ("eager", "sdpa"))
        assert_rows_close(eager, sdpa, budget(name), f"{name}, padded {padding}")


@pytest.mark.parametrize(
    ("name", "kernel"), [case for case in CASES if case[0] not in SEES_LATER_TOKENS or case[0] == "gemma3"]
)
def test_later_token_changes_nothing_earlier(name: str, kernel: str) -> None:
    """Gemma3 is here for its text tokens."""
    for padding in ("left", "right"):
        batch = collate(samples(name)[2:], padding)
        changed = {**batch, "input_ids": batch["input_ids"].clone()}
        changed["input_ids"][:, -1] = TEXT_IDS[1] - changed["input_ids"][:, -1]
        before, after = (row_logits(adapted(name, kernel), inputs)[0] for inputs in (batch, changed))
        assert deviation(after[:-1], before[:-1]) <= budget(name, kernel)
        assert_differs(after[-1], before[-1], budget(name, kernel), "the changed token")


@pytest.mark.parametrize("name", TWINS)
def test_pairs_far_below_the_real_scores_give_the_base(name: str) -> None:
    """The adapter's path with a share of 0 is the base: nothing of its own attention is lost on the way."""
    model = wrap(TWINS[name].build(), init_score_offset=1000.0)
    for padding in ("left", "right"):
        batch = collate(samples(name), padding)
        positions = TWINS[name].positions(batch["attention_mask"])
        expected = row_logits(plain(name), batch, **positions)
        assert_rows_close(row_logits(model, batch, **positions), expected, budget(name), f"{name} {padding}")


@pytest.mark.parametrize("name", [name for name, twin in TWINS.items() if twin.text_only])
def test_prompt_without_image_keeps_the_laws(name: str) -> None:
    model, prompts = adapted(name), TWINS[name].text_samples((7, 4))
    alone = [row_logits(model, collate([prompt]))[0] for prompt in prompts]
    for padding in ("left", "right"):
        together = row_logits(model, collate(prompts, padding))
        assert_rows_close(together, alone, budget(name), f"{name}, padded {padding}")


def test_paligemma_without_token_types_follows_its_kernel() -> None:
    """Without token types its sdpa path runs without a mask, in both directions: the adapter must not add causality."""
    model, prompt = wrap(TWINS["paligemma"].build(), init_score_offset=1000.0), samples("paligemma")[:1]
    batch = {name: value for name, value in collate(prompt).items() if name != "token_type_ids"}
    expected = row_logits(plain("paligemma"), batch)
    assert_close(row_logits(model, batch)[0], expected[0], budget("paligemma"))
