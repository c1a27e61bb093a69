"""HiFICL: learned key-value pairs in the softmax of every decoder attention layer (arXiv:2603.12760)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hificl.tuner import HiFICLConfig

if TYPE_CHECKING:
    from hificl.backbones import Backbone


def peft_config(backbone: Backbone, options: Mapping[str, Any]) -> HiFICLConfig:
    """Return the config of the paper, eight pairs of rank eight per query head, with ``options`` on top.

    The paper's variants are options: ``factorize_key=False`` and ``factorize_value=False``, ``mixing="additive"``
    (its "alpha = 1"), ``share="kv"``, ``learn_score_offset=True``, ``compat="official"``; its teacher is a field of the
    recipe, ``teacher="mse"``.
    """
    return HiFICLConfig(**options)
