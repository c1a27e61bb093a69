"""The seam that joins virtual pairs to attention: the separate products against the formula, and the choice."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from attention.merging import JOININGS, Joining, check, formula, joined, make
from closeness import assert_close
from hificl.attention import merge_choice, notice
from hificl.attention.merge import SEPARATE, PairTensors
from hificl.attention.merge_choice import choose_merge, why_not_triton


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("case", JOININGS, ids=lambda case: case.name)
def test_error_is_at_most_twice_that_of_the_formula(case: Joining, dtype: torch.dtype) -> None:
    check(SEPARATE, case, dtype)


@pytest.mark.parametrize("case", [case for case in JOININGS if case.empty], ids=lambda case: case.name)
def test_weights_that_were_not_kept_are_computed_anew(case: Joining, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = make(case, torch.float32).to(torch.float64)
    forward = SEPARATE.forward
    monkeypatch.setattr(SEPARATE, "forward", lambda *args: forward(*args)._replace(weights=None))
    exact = formula(problem, torch.float64)
    for name, tensor in joined(SEPARATE, problem, wants_offset=True)[1].items():
        assert_close(tensor, exact[name], 1e-12, name)


def pairs_of(virtual: int, head_dim: int, offset: float | torch.Tensor = 0.0) -> PairTensors:
    return PairTensors(torch.zeros(3, virtual, head_dim), torch.zeros(3, virtual, head_dim), offset)


def query_on(device: str, dtype: torch.dtype = torch.bfloat16, head_dim: int = 64) -> Any:
    """Stands for a query of any device: the choice looks at these three facts alone."""
    return SimpleNamespace(device=torch.device(device), dtype=dtype, shape=(2, 3, 7, head_dim))


@pytest.mark.parametrize(
    ("query", "pairs", "reason"),
    [
        (query_on("cpu"), pairs_of(5, 64), "no kernels for this device"),
        (query_on("meta"), pairs_of(5, 64), "no kernels for this device"),
        (query_on("cuda", torch.float64), pairs_of(5, 64), "does not compute in torch.float64"),
        (query_on("cuda"), pairs_of(65, 64), "up to 64 pairs"),
        (query_on("cuda", head_dim=257), pairs_of(5, 257), "heads up to 256"),
        (query_on("cuda"), pairs_of(5, 64, torch.zeros(3, 7, 5)), "differs between queries"),
        (query_on("cuda"), pairs_of(5, 64, torch.zeros(3, 1, 5)), None),
        (query_on("cuda", torch.float32), pairs_of(64, 256), None),
    ],
)
def test_the_choice_follows_facts(
    query: Any, pairs: PairTensors, reason: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge_choice, "_has_triton", lambda: True)
    monkeypatch.setattr(merge_choice, "_serves", lambda device: True)
    monkeypatch.setattr(merge_choice, "INTERPRETED", False)
    found = why_not_triton(query, pairs, offset_gradient=True)
    assert found is None if reason is None else reason in str(found)


def test_a_gpu_that_gets_the_slower_way_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    notice._say.cache_clear()
    monkeypatch.setattr(merge_choice, "_has_triton", lambda: False)
    with caplog.at_level(logging.WARNING, logger="hificl"):
        for _ in range(2):
            assert choose_merge(query_on("cuda"), pairs_of(5, 64), offset_gradient=False) is SEPARATE
        assert choose_merge(query_on("cpu"), pairs_of(5, 64), offset_gradient=False) is SEPARATE
    assert len(caplog.records) == 1
    assert "triton is not installed (pip install triton)" in caplog.text
