"""LIVE: a learned vector after every feed-forward, taught by a model that sees demonstrations (arXiv:2406.13185)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from hificl.errors import InputError
from hificl.methods.learned_shift import LearnedShift
from hificl.tuner.config import HiFICLPeftType, registered
from hificl.tuner.intervention import Intervention, InterventionConfig

if TYPE_CHECKING:
    from hificl.backbones import Backbone
    from hificl.tuner.places import Place


@registered
@dataclass
class LIVEConfig(InterventionConfig):
    """Learn a vector and a scale per layer, ``L (D + 1)`` numbers, that shift an activation at every position.

    Args:
        site: ``"mlp_output"``: after the feed-forward, before its residual is added, as in the re-runs that papers
            compare with. ``"residual"``: after the layer, as the authors did on Idefics-9b.
        layers_to_transform: Indices of the layers to adapt; all by default.

    Raises:
        InputError: ``site`` is another.

    Source:
        Peng et al., arXiv:2406.13185.
    """

    kind: ClassVar[HiFICLPeftType] = HiFICLPeftType.LIVE
    sites: ClassVar[tuple[str, ...]] = ("mlp_output", "residual")

    site: str = field(default="mlp_output", metadata={"help": "'mlp_output' or 'residual' (the authors' Idefics-9b)"})

    def __post_init__(self) -> None:
        """Refuse other sites."""
        super().__post_init__()
        if self.site not in self.sites:
            raise InputError(f"LIVEConfig: site={self.site!r} is unknown; choose 'mlp_output' or 'residual'.")

    def build(self, place: Place) -> Intervention | None:
        """Return the shift of one layer, None at the other site."""
        return LearnedShift(place.hidden, keep_norm=True) if place.site == self.site else None


def peft_config(backbone: Backbone, options: Mapping[str, Any]) -> LIVEConfig:
    """Return a vector after every feed-forward, with ``options`` on top."""
    return LIVEConfig(**options)
