"""The share of the learning rate that a part of the model gets."""

import torch

from pretrain.optimiser import MasterAdamW


def test_a_share_slows_and_zero_freezes_by_name():
    parameters = {name: torch.nn.Parameter(torch.ones(3, 2)) for name in ("words.weight", "held.weight", "rest.weight")}
    optimiser = MasterAdamW(
        parameters,
        learning_rate=0.1,
        final_rate=0.1,
        steps=5,
        warmup=1,
        weight_decay=0.5,
        shares={"words": 0.25, "held": 0.0},
    )
    for parameter in parameters.values():
        parameter.grad = torch.full((3, 2), 0.01)
    optimiser.step(0)
    moved = {name: float(1 - parameter[0, 0]) for name, parameter in parameters.items()}
    assert moved["held.weight"] == 0
    assert 0 < moved["words.weight"] < 0.3 * moved["rest.weight"]
    torch.testing.assert_close(moved["words.weight"], 0.25 * moved["rest.weight"], rtol=1e-4, atol=0)
