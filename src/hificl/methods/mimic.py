"""MimIC: a learned vector per head, weighted by the query, before the output projection (arXiv:2504.08851)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from hificl.errors import InputError
from hificl.tuner.config import HiFICLPeftType, PairsConfig, registered
from hificl.tuner.pairs import Pairs

if TYPE_CHECKING:
    from hificl.backbones import Backbone
    from hificl.tuner.sites import Site

CHOICES = {"form": ("original", "altered", "altered_diagonal"), "compat": ("exact", "official")}


class WeightedShift(nn.Module):
    """The shift of one adapter at one site, as one virtual pair per head.

    The paper's ``log Z1 = w q + b`` is the score of a pair with the key ``w / scale`` and the offset ``-b``, and its
    ``SA + mu v`` is additive mixing with the value ``v``.

    In the altered forms the mixture is ``(1 - mu) SA + mu (d * q + c)``, with d the diagonal of a matrix.
    """

    def __init__(self, site: Site, config: MimICConfig) -> None:
        super().__init__()
        self.additive = config.form == "original"
        self.unmasked_mass = config.compat == "official"
        self.magnitude_weight = nn.Parameter(torch.randn(site.heads, site.head_dim) * 0.02)
        self.magnitude_bias = nn.Parameter(torch.zeros(site.heads))
        if self.additive:
            self.shift_vector = nn.Parameter(torch.randn(site.heads, site.value_dim) * 0.001)
            return
        if site.head_dim != site.value_dim:
            raise InputError(
                f"{site.name}: MimIC's form={config.form!r} adds queries (size {site.head_dim}) to outputs (size "
                f"{site.value_dim}); use form='original'."
            )
        size = (site.head_dim,) * (2 if config.form == "altered" else 1)
        self.projection_weight = nn.Parameter(torch.randn(site.heads, *size) * 0.001)
        self.projection_bias = nn.Parameter(torch.zeros(site.heads, site.value_dim))

    def forward(self, scale: float) -> Pairs:
        """Return one pair per head for a layer that multiplies its scores by ``scale``."""
        key = (self.magnitude_weight / scale).unsqueeze(1)
        offset = -self.magnitude_bias[:, None, None]
        if self.additive:
            return Pairs(key, self.shift_vector.unsqueeze(1), offset, True, self.unmasked_mass)
        weight = self.projection_weight
        diagonal = weight.diagonal(dim1=-2, dim2=-1) if weight.dim() == 3 else weight
        return Pairs(key, self.projection_bias.unsqueeze(1), offset, False, self.unmasked_mass, diagonal.unsqueeze(1))


@registered
@dataclass
class MimICConfig(PairsConfig):
    """Learn a shift and the size of its share of the attention per layer and head, ``L H (2 d + 1)`` numbers.

    Args:
        form: ``"original"``: as the paper has it. ``"altered"``: what the published code of HiFICL trains under this
            name on LLaVA and Qwen, ``L H (d d + 2 d + 1)`` numbers of which only the diagonal of each matrix acts.
            ``"altered_diagonal"``: the same function with only what acts, ``L H (3 d + 1)`` numbers.
        compat: ``"exact"``: masks count in the real mass. ``"official"``: it is taken over all keys, later and padded
            ones included, as the published code does; for parity experiments only.
        cross_attention, target_modules, exclude_modules, layers_to_transform, layers_pattern, modules_to_save: As for
            HiFICL.

    Raises:
        InputError: ``form`` or ``compat`` is unknown.

    Source:
        Jiang et al., arXiv:2504.08851; initial values from the authors' published code: weight of the magnitude 0.02
        normal, bias zero, vector 0.001 normal. Those of the altered forms' projection are not recorded anywhere; ours
        start as the vector does, with a bias of zero.
    """

    kind: ClassVar[HiFICLPeftType] = HiFICLPeftType.MIMIC
    no_prefix: ClassVar[str | None] = "MimIC adds its vector beside the softmax, or with a value that follows the query"

    form: str = field(default="original", metadata={"help": "'original', 'altered' or 'altered_diagonal'"})
    compat: str = field(default="exact", metadata={"help": "'exact' or 'official' (parity experiments)"})

    def __post_init__(self) -> None:
        """Refuse unknown choices."""
        super().__post_init__()
        self.check_choices(CHOICES)

    def pairs(self, site: Site) -> nn.Module:
        """Return the shift of one attention module."""
        return WeightedShift(site, self)


def peft_config(backbone: Backbone, options: Mapping[str, Any]) -> MimICConfig:
    """Return the original form in every layer, with ``options`` on top."""
    return MimICConfig(**options)
