"""A notice comes once, also where the code that gives it is only traced."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor

from hificl.attention.notice import say_once


def slower(rows: Tensor, reason: str) -> Tensor:
    say_once(f"{reason}: another way is taken")
    return rows + 1


@pytest.mark.parametrize("traced", [False, True], ids=["python", "compiled"])
def test_a_notice_comes_once(traced: bool, caplog: pytest.LogCaptureFixture) -> None:
    call = torch.compile(slower, backend="eager", fullgraph=True) if traced else slower
    with caplog.at_level(logging.WARNING, logger="hificl"):
        for size in (3, 4, 5):  # sizes of which one is traced anew
            assert torch.equal(call(torch.zeros(size), f"traced is {traced}"), torch.ones(size))
    assert caplog.messages == [f"traced is {traced}: another way is taken"]
