"""What all layers of a forward make of one tensor is made once, and made anew when the tensor says something else."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import Tensor

import hificl.tuner.attend as attend_file
import hificl.tuner.flash as flash_file
from closeness import assert_close
from hificl.tuner.once import OncePerForward
from tuner.implementations import CLOSE, adapted, attend_through, attention_of, left_padded, packed, prompt

FORWARDS = {"prompt": prompt, "left_padded": left_padded, "packed": packed}


def counted(monkeypatch: pytest.MonkeyPatch, file: object, name: str) -> list[Tensor]:
    """Write down what a function of a file returns."""
    made, function = [], getattr(file, name)

    def wrapped(*args: object, **options: object) -> object:
        made.append(function(*args, **options))
        return made[-1]

    monkeypatch.setattr(file, name, wrapped)
    return made


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
@pytest.mark.parametrize(("implementation", "forward"), [("sdpa", "left_padded"), ("flash_attention_2", "left_padded"),
    ("flash_attention_2", "prompt")])  # fmt: skip
def test_a_mask_is_prepared_once_for_all_layers(
    monkeypatch: pytest.MonkeyPatch, context: type, implementation: str, forward: str
) -> None:
    model = adapted(implementation)
    near, additive = counted(monkeypatch, flash_file, "_near"), counted(monkeypatch, attend_file, "additive_mask")
    with context():
        for forwards in (1, 2, 3):
            FORWARDS[forward](model)
            assert (len(near), len(additive)) == (forwards * (implementation != "sdpa"), forwards)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_packed_positions_are_read_once_for_all_layers(monkeypatch: pytest.MonkeyPatch, context: type) -> None:
    model, read = adapted("flash_attention_2"), counted(monkeypatch, flash_file, "_bounds")
    with context():
        packed(model)
        assert len(read) == 1
        packed(model)
        assert len(read) == 2


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_what_is_written_into_a_mask_is_seen_by_the_next_forward(context: type) -> None:
    attention = attention_of(adapted("sdpa"))
    query, key = torch.randn(3, 6, 7, 8).double(), torch.randn(3, 2, 7, 8).double()
    with context():
        mask = torch.ones(3, 1, 7, 7, dtype=torch.bool).tril()
        before = attend_through(attention, query, key, mask)
        mask[1, :, 2:, :2] = False
        after, alone = attend_through(attention, query, key, mask), attend_through(attention, query, key, mask.clone())
    assert not torch.equal(after, before)
    assert_close(after, alone, CLOSE, "output")


def test_what_was_made_of_a_tensor_goes_with_it() -> None:
    once, tensor = OncePerForward(), torch.ones(3, dtype=torch.bool)
    made = weakref.ref(once.get(tensor, "layer", (), lambda: torch.zeros(5)))
    assert made() is not None
    del tensor
    gc.collect()
    assert made() is None
