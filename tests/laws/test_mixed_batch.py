"""Rows of one batch may use different adapters, or none, and each gets exactly what it would get alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from .catalogue import TWINS
from .probes import adapted, assert_rows_close, budget, generated, plain, row_logits, samples, wrap
from .twins import collate

NAMES = ["a", "__base__", "b"]


def single(name: str, adapter: str) -> nn.Module:
    """Return the twin with that adapter alone, the one that it has in ``adapted``."""
    if adapter == "__base__":
        return plain(name)
    if adapter == "a":
        return wrap(TWINS[name].build(), "a")
    return wrap(TWINS[name].build(), "b", seed=6, num_virtual_tokens=5, r=1)


@pytest.mark.parametrize("padding", ["left", "right"])
@pytest.mark.parametrize("name", TWINS)
def test_rows_equal_single_adapter_rows(name: str, padding: str) -> None:
    batch = collate(samples(name), padding)
    positions = TWINS[name].positions(batch["attention_mask"])
    mixed = row_logits(adapted(name), batch, adapter_names=NAMES)
    alone = [row_logits(single(name, who), batch, **positions)[row] for row, who in enumerate(NAMES)]
    assert_rows_close(mixed, alone, budget(name), f"{name}, padded {padding}")


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("name", TWINS)
def test_generation_equals_single_adapter_generation(name: str, beams: int) -> None:
    batch = collate(samples(name), "left")
    mixed = generated(adapted(name), batch, adapter_names=NAMES, num_beams=beams)
    for row, who in enumerate(NAMES):
        alone = generated(single(name, who), batch, num_beams=beams)[row]
        assert torch.equal(mixed[row], alone), f"{name}, row {row} with adapter {who}"


@pytest.mark.parametrize("name", ["llava_qwen2", "gpt_oss"])
def test_a_mixed_batch_of_one_kind_is_that_kind(name: str) -> None:
    batch = collate(samples(name))
    base = row_logits(adapted(name), batch, adapter_names=["__base__"] * 3)
    assert_rows_close(base, row_logits(plain(name), batch), budget(name), "all base")
    same = row_logits(adapted(name), batch, adapter_names=["a"] * 3)
    assert_rows_close(same, row_logits(adapted(name), batch), budget(name), "all a")


def test_mixing_leaves_no_trace() -> None:
    model, batch = adapted("llava_qwen2"), collate(samples("llava_qwen2"))
    before = row_logits(model, batch)
    row_logits(model, batch, adapter_names=NAMES)
    with pytest.raises(ValueError, match="nobody"):
        row_logits(model, batch, adapter_names=["a", "nobody", "b"])
    assert_rows_close(row_logits(model, batch), before, 0.0, "after a mixed batch and a refused one")


def test_too_few_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"2.*3|3.*2"):
        row_logits(adapted("llava_qwen2"), collate(samples("llava_qwen2")), adapter_names=["a", "b"])


def test_refused_in_training_mode() -> None:
    model = wrap(TWINS["llama"].build(), "a").train()
    with pytest.raises(ValueError, match="training"):
        row_logits(model, collate(samples("llama")), adapter_names=["a", "a", "a"])
