"""HiFICL: learned key-value pairs in the softmax of every decoder attention layer (arXiv:2603.12760)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hificl.methods.method import Method

if TYPE_CHECKING:
    from peft import PeftConfig

    from hificl.backbones import Backbone


def peft_config(backbone: Backbone, options: Mapping[str, Any]) -> PeftConfig:
    """Return the config of the paper, eight pairs of rank eight per query head, with ``options`` on top."""
    from hificl.tuner import HiFICLConfig

    return HiFICLConfig(**options)


HIFICL = Method(
    name="hificl",
    description="learned key-value pairs in the softmax of every attention layer of the text decoder",
    learned=True,
    peft_config=peft_config,
)
