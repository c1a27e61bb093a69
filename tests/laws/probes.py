"""What the laws do with a model: run it, compare rows, attach adapters whose pairs matter."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from functools import cache

import torch
from peft import PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import PreTrainedModel

import hificl
from closeness import assert_close, assert_same, rounding_budget

from .catalogue import TWINS
from .twins import Sample, collate

LENGTHS = (9, 6, 11)
"""Text tokens of the three prompts in the standard batch."""
NEW_TOKENS = 5


def samples(name: str, lengths: Sequence[int] = LENGTHS) -> list[Sample]:
    """Return the standard prompts of a twin."""
    return TWINS[name].samples(lengths, seed=1)


@cache
def plain(name: str, kernel: str | None = None) -> PreTrainedModel:
    """Return the plain model of a twin; shared, so never change it."""
    return TWINS[name].build(kernel)


def wrap(model: PreTrainedModel, adapter: str = "default", seed: int = 5, **options: object) -> PeftModel:
    """Attach an adapter (3 pairs of rank 2 unless told otherwise) and draw its factors."""
    config = hificl.HiFICLConfig(**{"num_virtual_tokens": 3, "r": 2, **options})
    wrapped = get_peft_model(model, config, adapter_name=adapter).eval()
    draw_factors(wrapped, adapter, seed)
    return wrapped


def add(wrapped: PeftModel, adapter: str, seed: int, **options: object) -> None:
    """Attach one more adapter and draw its factors; the active one stays."""
    wrapped.add_adapter(adapter, hificl.HiFICLConfig(**{"num_virtual_tokens": 5, "r": 1, **options}))
    draw_factors(wrapped, adapter, seed)
    wrapped.eval()


@cache
def adapted(name: str, kernel: str | None = None) -> PeftModel:
    """Return a twin with adapters "a" (active, 3 pairs) and "b" (5 pairs); shared, so leave it as it is."""
    wrapped = wrap(TWINS[name].build(kernel), "a")
    add(wrapped, "b", seed=6)
    return wrapped


@cache
def budget(name: str, kernel: str | None = None) -> float:
    """Return the rounding budget of the logits of ``adapted(name, kernel)``."""
    return model_budget(adapted(name, kernel), samples(name))


def model_budget(model: nn.Module, prompts: Sequence[Sample]) -> float:
    """Return the rounding budget of a model's logits; prompts run one by one, so nothing is padded."""
    double = copy.deepcopy(model).double()
    single_rows = [row_logits(model, collate([prompt]))[0] for prompt in prompts]
    double_rows = [row_logits(double, in_double(collate([prompt])))[0] for prompt in prompts]
    return rounding_budget(torch.cat(single_rows), torch.cat(double_rows))


def in_double(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return inputs for a float64 model."""
    return {name: value.double() if value.is_floating_point() else value for name, value in batch.items()}


def adapter_parameters(model: nn.Module, adapter: str | None = None) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the learned tensors by name, of one adapter or of all."""
    for name, parameter in model.named_parameters():
        if ".hificl_kv." in name and (adapter is None or f".hificl_kv.{adapter}." in name):
            yield name, parameter


def draw_factors(model: nn.Module, adapter: str, seed: int) -> None:
    """Draw every factor from N(0, 1), so that keys and values are as large as the real ones."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, parameter in adapter_parameters(model, adapter):
            parameter.copy_(torch.randn(parameter.shape, generator=generator))


@torch.no_grad()
def row_logits(model: nn.Module, batch: dict[str, Tensor], **keywords: object) -> list[Tensor]:
    """Return the logits of each row at its real tokens, shape [tokens, vocabulary]."""
    logits = model(**batch, **keywords).logits
    return [row[mask.bool()] for row, mask in zip(logits, batch["attention_mask"], strict=True)]


@torch.no_grad()
def generated(model: nn.Module, batch: dict[str, Tensor], **keywords: object) -> Tensor:
    """Return the generated ids only, shape [rows, NEW_TOKENS]; always as many, for no token ends a generation."""
    return model.generate(**batch, max_new_tokens=NEW_TOKENS, **keywords)[:, -NEW_TOKENS:]


def gradients(model: nn.Module, batch: dict[str, Tensor], training: bool = False) -> dict[str, Tensor]:
    """Return the gradients of a loss that weighs every real logit differently, by parameter name."""
    model.zero_grad(set_to_none=True)
    model.train(training)
    logits = model(**batch, use_cache=False).logits[batch["attention_mask"].bool()]
    weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(4)).to(logits.dtype)
    (logits * weights).sum().backward()
    model.eval()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_rows_same(actual: Sequence[Tensor], expected: Sequence[Tensor], what: str = "logits") -> None:
    """Compare row by row, to the bit."""
    for index, (left, right) in enumerate(zip(actual, expected, strict=True)):
        assert_same(left, right, f"{what}, row {index}")


def assert_rows_close(actual: Sequence[Tensor], expected: Sequence[Tensor], budget: float, what: str) -> None:
    """Compare row by row."""
    assert len(actual) == len(expected)
    for index, (left, right) in enumerate(zip(actual, expected, strict=True)):
        assert_close(left, right, budget, f"{what}, row {index}")


def assert_differs(left: Tensor, right: Tensor, budget: float, what: str) -> None:
    """Fail where two results are equal although something that must matter was changed."""
    moved = (left.double() - right.double()).abs().max().item()
    assert moved > 100 * budget, f"{what}: moved by {moved:.3e} only, with a budget of {budget:.3e}"
