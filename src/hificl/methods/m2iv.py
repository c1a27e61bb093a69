"""M2IV: learned vectors after attention and feed-forward, taught by a model that sees demonstrations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from hificl.methods.learned_shift import LearnedShift
from hificl.tuner.config import HiFICLPeftType, registered
from hificl.tuner.intervention import Intervention, InterventionConfig

if TYPE_CHECKING:
    from hificl.backbones import Backbone
    from hificl.tuner.places import Place


@registered
@dataclass
class M2IVConfig(InterventionConfig):
    """Learn two vectors and two scales per layer, ``2 L (D + 1)`` numbers, added to what both branches give.

    No code was published: the vectors start as those of LIVE do, 0.01 normal with a scale of 0.1, and the norm is not
    restored.

    Args:
        layers_to_transform: Indices of the layers to adapt; all by default.

    Source:
        Li et al., arXiv:2504.04633.
    """

    kind: ClassVar[HiFICLPeftType] = HiFICLPeftType.M2IV
    sites: ClassVar[tuple[str, ...]] = ("attention_output", "mlp_output")

    def build(self, place: Place) -> Intervention | None:
        """Return the shift of one branch of one layer."""
        return LearnedShift(place.hidden, keep_norm=False)


def peft_config(backbone: Backbone, options: Mapping[str, Any]) -> M2IVConfig:
    """Return a vector after attention and one after the feed-forward of every layer, with ``options`` on top."""
    return M2IVConfig(**options)
