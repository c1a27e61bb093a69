from __future__ import annotations

import pytest

from hificl.errors import InputError
from hificl.training.holdout import best_step, should_stop, split_holdout


def history(*losses: float) -> list[dict[str, float]]:
    """A log in which held-out losses stand between losses of steps."""
    entries = []
    for epoch, loss in enumerate(losses, start=1):
        entries += [{"loss": 9.0, "step": 5 * epoch}, {"eval_loss": loss, "step": 5 * epoch}]
    return entries


def test_split_is_seeded_and_complete() -> None:
    training, held = split_holdout(11, 0.3, seed=4)
    assert (len(training), len(held)) == (8, 3)
    assert sorted(training + held) == list(range(11))
    assert split_holdout(11, 0.3, seed=4) == (training, held)
    assert any(split_holdout(11, 0.3, seed=seed) != (training, held) for seed in range(5, 9))


def test_no_holdout_trains_on_all() -> None:
    assert split_holdout(5, 0.0, seed=4) == ([0, 1, 2, 3, 4], [])


@pytest.mark.parametrize("examples, share", [(3, 0.1), (3, 0.9), (1, 0.5)])
def test_empty_parts_are_refused(examples: int, share: float) -> None:
    with pytest.raises(InputError, match=f"holdout {share} of {examples} examples"):
        split_holdout(examples, share, seed=0)


def test_best_step_is_the_first_lowest() -> None:
    assert best_step(history()) is None
    assert best_step(history(3.0, 1.0, 2.0, 1.0)) == 10


def test_stops_after_patience_without_a_gain() -> None:
    assert not should_stop(history(), patience=2)
    assert not should_stop(history(3.0, 1.0, 2.0), patience=2)
    assert should_stop(history(3.0, 1.0, 2.0, 1.0), patience=2)
    assert not should_stop(history(3.0, 1.0, 2.0, 0.5), patience=2)
