"""The sidecar of virtual pairs, on an attention module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hificl.tuner.config import PairsConfig
from hificl.tuner.kept import KeptPairs
from hificl.tuner.pairs import BASE, Pairs, joined, per_row, weighted
from hificl.tuner.sidecar import Sidecar, on_meta_if
from hificl.tuner.sites import Site


class Folded(NamedTuple):
    """Pairs that a prompt was read with, for the steps that follow it."""

    asked: tuple[Any, ...]
    """What they were made for: active adapters, rows of a mixed batch, batch, scale."""

    made_of: list[tuple[Mapping[str, Tensor | None], str, Tensor, int, int]]
    """Every parameter: the table and the name that it stands under, and its version and address at that time."""

    pairs: Pairs | None

    def holds(self, asked: tuple[Any, ...]) -> bool:
        """Say whether the same is asked for, of the same parameters, and nothing was written into them since.

        Torch counts what is written into a parameter, but not what is written into its ``.data`` in place: that is not
        seen between two steps of one generation. A new tensor as ``.data`` is. A plain loop: this runs in every step.
        """
        if self.asked != asked:
            return False
        for table, name, tensor, version, address in self.made_of:
            if table.get(name) is not tensor or tensor._version != version or tensor.data_ptr() != address:
                return False
        return True


class HiFICLLayer(Sidecar):
    """Virtual pairs of every adapter beside one frozen attention module."""

    adapter_layer_names = ("hificl_kv",)

    def __init__(self, site: Site, kept: KeptPairs | None = None) -> None:
        """Make a sidecar without adapters; ``kept`` is what all sidecars of a model share for their compiled steps."""
        super().__init__(site.name)
        self.site = site
        self.folded: Folded | None = None
        self.kept = kept or KeptPairs()
        self.weights: dict[str, float] = {}

    def update_layer(self, adapter_name: str, config: PairsConfig, device: torch.device) -> None:
        """Add an adapter, or replace the one of that name; ``device`` is where the attention module computes now."""
        self.weights.pop(adapter_name, None)  # it was that of an adapter of the same name before
        with on_meta_if(device):
            pairs = config.pairs(self.site)
        self.hold(adapter_name, pairs, device, inference_mode=config.inference_mode)

    def changed(self) -> None:
        """Forget what was multiplied out: another adapter may be meant from now on."""
        self.folded = None
        self.kept.clear()

    def weigh(self, weights: Mapping[str, float]) -> None:
        """Set how much mass adapters have beside one another; those that are not named have their own."""
        self.weights = dict(weights)
        self.changed()

    def _made(self, name: str, scale: float) -> Pairs:
        made: Pairs = self.adapters[name](scale)
        return weighted(made, self.weights.get(name, 1.0))

    def forward(self, batch: int, scale: float, *, is_step: bool = False) -> Pairs | None:
        """Return the pairs for a batch, or None where the base model answers alone.

        Args:
            batch: Number of rows.
            scale: The factor on the scores of this attention module.
            is_step: One more token after a prompt. Such steps use the pairs of their prompt again, where nothing has
                changed since: their products need not be taken for every token, compiled or not.

        Raises:
            ValueError: A mixed batch names another number of rows (beams and returned sequences are multiples).
        """
        is_fixed = not torch.is_grad_enabled()
        if torch.compiler.is_compiling():
            kept = self.kept.get(self.name, batch) if is_step and is_fixed else None
            return self._pairs(batch, scale) if kept is None else kept
        if not is_fixed:
            self.folded = None
            return self._pairs(batch, scale)
        asked = (self._active_adapter, self.row_adapters, self._disable_adapters, batch, scale)
        if is_step and self.folded is not None and self.folded.holds(asked):
            return self.folded.pairs
        pairs = self._pairs(batch, scale)
        self.folded = self._fold(asked, pairs)
        if self.folded is not None and pairs is not None:
            self.kept.put(self.name, pairs)
        return pairs

    def _pairs(self, batch: int, scale: float) -> Pairs | None:
        """Multiply out the pairs of the adapters that are active now, or of those of the rows."""
        if not self.is_active():
            return None
        if self.row_adapters is None:
            pairs = joined([self._made(name, scale) for name in self.active_adapters if name in self.adapters])
            return pairs if pairs.key.shape[-2] else None
        names = self.adapter_of_each_row(batch)
        used = {name: self._made(name, scale) for name in dict.fromkeys(names) if name in self.adapters}
        return per_row([name if name in used else BASE for name in names], used)

    def _fold(self, asked: tuple[Any, ...], pairs: Pairs | None) -> Folded | None:
        """Keep pairs for later steps, unless their parameters come and go."""
        names = self.active_adapters if self.row_adapters is None else self.row_adapters
        used = [self.adapters[name] for name in dict.fromkeys(names) if name in self.adapters]
        # Offloading and sharding put parameters in place for the time of a call, by hooks or by a forward of their own.
        if any(hasattr(one, "_hf_hook") or one._forward_pre_hooks for one in used):
            return None
        made_of: list[tuple[Mapping[str, Tensor | None], str, Tensor, int, int]] = []
        for one in used:
            for name, tensor in one._parameters.items():
                if tensor is not None and tensor.is_inference():
                    return None  # it has no version
                if tensor is not None:
                    made_of.append((one._parameters, name, tensor, tensor._version, tensor.data_ptr()))
        return Folded(asked, made_of, pairs)

    def extra_repr(self) -> str:
        """Show the geometry of the site."""
        site: Any = self.site
        return f"heads={site.heads}, kv_heads={site.kv_heads}, head_dim={site.head_dim}, value_dim={site.value_dim}"
