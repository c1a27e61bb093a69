"""The sidecar of virtual pairs, on an attention module."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hificl.tuner.config import PairsConfig
from hificl.tuner.pairs import BASE, Pairs, joined, per_row
from hificl.tuner.sidecar import Sidecar, on_meta_if
from hificl.tuner.sites import Site


class Folded(NamedTuple):
    """Pairs that a prompt was read with, for the steps that follow it."""

    request: tuple[Any, ...]
    """Adapters, rows and scale that they were made for."""

    made_of: list[tuple[Tensor, int, int]]
    """Every parameter, and its version and address at that time."""

    pairs: Pairs | None

    def holds(self, request: tuple[Any, ...], parameters: list[Tensor]) -> bool:
        """Say whether the same is asked for, of the same parameters, and nothing was written into them since.

        Torch counts what is written into a parameter, but not what is written into its ``.data`` in place: that is not
        seen between two steps of one generation. A new tensor as ``.data`` is.
        """
        return (
            self.request == request
            and len(self.made_of) == len(parameters)
            and all(
                tensor is now and tensor._version == version and tensor.data_ptr() == address
                for (tensor, version, address), now in zip(self.made_of, parameters, strict=True)
            )
        )


class HiFICLLayer(Sidecar):
    """Virtual pairs of every adapter beside one frozen attention module."""

    adapter_layer_names = ("hificl_kv",)

    def __init__(self, site: Site) -> None:
        super().__init__(site.name)
        self.site = site
        self.folded: Folded | None = None

    def update_layer(self, adapter_name: str, config: PairsConfig, device: torch.device) -> None:
        """Add an adapter, or replace the one of that name; ``device`` is where the attention module computes now."""
        with on_meta_if(device):
            pairs = config.pairs(self.site)
        self.hold(adapter_name, pairs, device, inference_mode=config.inference_mode)

    def forward(self, batch: int, scale: float, *, is_step: bool = False) -> Pairs | None:
        """Return the pairs for a batch, or None where the base model answers alone.

        Args:
            batch: Number of rows.
            scale: The factor on the scores of this attention module.
            is_step: One more token after a prompt. Such steps use the pairs of their prompt again, where nothing has
                changed since: their products need not be taken for every token.

        Raises:
            ValueError: A mixed batch names another number of rows (beams and returned sequences are multiples).
        """
        if not self.is_active():
            return None
        names = self.active_adapters if self.row_adapters is None else self.adapter_of_each_row(batch)
        request = (tuple(names), self.row_adapters is None, scale)
        reusable = is_step and not torch.is_grad_enabled() and not torch.compiler.is_compiling()
        folded = self.folded if reusable else None
        if folded is not None and folded.holds(request, self._parameters_of(names)):
            return folded.pairs
        pairs = self._pairs(list(names), scale)
        self.folded = self._fold(request, pairs)
        return pairs

    def _pairs(self, names: list[str], scale: float) -> Pairs | None:
        if self.row_adapters is None:
            pairs = joined([self.adapters[name](scale) for name in names if name in self.adapters])
            return pairs if pairs.key.shape[-2] else None
        used = {name: self.adapters[name](scale) for name in dict.fromkeys(names) if name in self.adapters}
        return per_row([name if name in used else BASE for name in names], used)

    def _fold(self, request: tuple[Any, ...], pairs: Pairs | None) -> Folded | None:
        """Keep pairs for later steps; not those that are trained or traced, or of parameters that come and go."""
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            return None
        # Offloading and sharding put parameters in place for the time of a call, by hooks or by a forward of their own.
        used = [self.adapters[name] for name in dict.fromkeys(request[0]) if name in self.adapters]
        if any(hasattr(one, "_hf_hook") or one._forward_pre_hooks for one in used):
            return None
        parameters = self._parameters_of(request[0])
        if any(parameter.is_inference() for parameter in parameters):
            return None  # they have no version
        made_of = [(parameter, parameter._version, parameter.data_ptr()) for parameter in parameters]
        return Folded(request, made_of, pairs)

    def _parameters_of(self, names: Iterable[str]) -> list[Tensor]:
        """Return the parameters of some adapters; without a walk through modules, for this runs in every step."""
        adapters = self.adapters._modules
        used = [adapters[name] for name in dict.fromkeys(names) if name in adapters]
        return [tensor for one in used if one is not None for tensor in one._parameters.values() if tensor is not None]

    def extra_repr(self) -> str:
        """Show the geometry of the site."""
        site: Any = self.site
        return f"heads={site.heads}, kv_heads={site.kv_heads}, head_dim={site.head_dim}, value_dim={site.value_dim}"
