"""Keys and values that attention sees of a text, captured in the frozen model, ready to be virtual pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from hificl.adapters.stored import new_adapter
from hificl.backbones import Backbone
from hificl.backbones.arguments import sparing
from hificl.context.positions import read_before_zero
from hificl.errors import InputError
from hificl.tuner import HiFICLConfig, HiFICLLayer
from hificl.tuner.observed import AttentionCall, observed
from hificl.tuner.sidecar import sidecars


@dataclass(frozen=True)
class Captured:
    """Pairs of a context, per attention module of the text decoder, by the module's qualified name."""

    keys: Mapping[str, Tensor]
    """[kv_heads tokens head_dim] in the dtype of the model, rotated as a query at position 0 on sees them."""

    values: Mapping[str, Tensor]
    """[kv_heads tokens value_dim]."""

    score_offset: float = 0.0
    """To be subtracted from the scaled scores of all of them: log of the number of captures that stand side by side."""

    @property
    def tokens(self) -> int:
        """How many tokens there are, and so pairs per head."""
        return next(iter(self.keys.values())).shape[1]


def capture(backbone: Backbone, inputs: Mapping[str, Tensor]) -> Captured:
    """Run the frozen model over one text and keep what every attention module of its decoder sees of it.

    The text is read at the positions before 0, so that a query from position 0 on sees it at the distance that it has
    in a prompt of both.

    Args:
        backbone: The frozen model; it stays as it is.
        inputs: Of one row: ``input_ids`` [1 tokens], ``attention_mask`` of ones, vision inputs.

    Raises:
        InputError: The keys cannot be moved (see :func:`hificl.context.positions.check_rotary`), tokens of the text see
            later ones, or a sliding window is shorter than the text.
    """
    # A module tree of its own whose adapter has no pairs: attention is redirected, and computes what it always does.
    model = new_adapter(backbone, HiFICLConfig(num_virtual_tokens=0)).eval()
    return capture_in(model, inputs)


@torch.no_grad()
def capture_in(model: Any, inputs: Mapping[str, Tensor]) -> Captured:
    """Do what :func:`capture` does in a model whose attention is redirected already; its adapters are disabled."""
    base = model.get_base_model()
    modules = [parent for parent, _, _ in sidecars(base, HiFICLLayer)]
    keys: dict[str, Tensor] = {}
    values: dict[str, Tensor] = {}
    given = {name: tensor.to(model.device) for name, tensor in inputs.items()}
    with model.disable_adapter(), read_before_zero(base), observed(modules, partial(_keep, keys, values)):
        model(**given, **sparing(base, 1))
    return Captured(keys, values)


def _keep(keys: dict[str, Tensor], values: dict[str, Tensor], index: int, call: AttentionCall) -> None:
    if call.name in keys:
        raise InputError(
            f"{call.name} is run several times in one forward, each time with other keys, so that one set of pairs "
            "cannot stand for them; use init='random'."
        )
    _check_seen(call)
    tokens = call.query.shape[2]
    keys[call.name] = call.key[0, :, :tokens].clone()
    values[call.name] = call.value[0, :, :tokens].clone()


def _check_seen(call: AttentionCall) -> None:
    """Refuse a text whose tokens do not see all earlier ones, or see the ones that would come behind it.

    The last token stands for those behind it: if any other sees it, it would see a query as well.
    """
    tokens = call.query.shape[2]
    window = call.keywords.get("sliding_window")
    if call.is_causal:
        return
    mask = call.mask
    if mask is None:
        sees_later, sees_all = tokens > 1, True
    else:
        mask = mask[..., :tokens]
        visible = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2
        sees_later = bool(visible[..., :-1, -1].any())
        sees_all = bool(visible[..., -1, :].all())
    if sees_later:
        raise InputError(
            f"{call.name}: tokens of a prompt see later ones, so what they are depends on the query behind them and "
            "cannot be captured without it; use init='random'."
        )
    if not sees_all or (isinstance(window, int) and window <= tokens):
        raise InputError(
            f"{call.name}: its sliding window is shorter than the {tokens} tokens of the demonstrations; give fewer "
            "or shorter ones."
        )


def side_by_side(captures: list[Captured]) -> Captured:
    """Join captures of several texts, more than fit into one prompt: the mass of all together is that of one.

    Every pair gets the offset ``log(number of captures)``, so that the softmax takes the mean of their masses.
    """
    if len(captures) == 1:
        return captures[0]
    names = captures[0].keys
    offset = float(torch.tensor(len(captures), dtype=torch.float64).log())
    return replace(
        captures[0],
        keys={name: torch.cat([one.keys[name] for one in captures], dim=1) for name in names},
        values={name: torch.cat([one.values[name] for one in captures], dim=1) for name in names},
        score_offset=offset,
    )
