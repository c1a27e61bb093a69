"""The sidecar of virtual pairs, on an attention module."""

from __future__ import annotations

from typing import Any

import torch

from hificl.tuner.config import PairsConfig
from hificl.tuner.pairs import BASE, Pairs, joined, per_row
from hificl.tuner.sidecar import Sidecar, on_meta_if
from hificl.tuner.sites import Site


class HiFICLLayer(Sidecar):
    """Virtual pairs of every adapter beside one frozen attention module."""

    adapter_layer_names = ("hificl_kv",)

    def __init__(self, site: Site) -> None:
        super().__init__(site.name)
        self.site = site

    def update_layer(self, adapter_name: str, config: PairsConfig, device: torch.device) -> None:
        """Add an adapter, or replace the one of that name; ``device`` is where the attention module computes now."""
        with on_meta_if(device):
            pairs = config.pairs(self.site)
        self.hold(adapter_name, pairs, device, inference_mode=config.inference_mode)

    def forward(self, batch: int, scale: float) -> Pairs | None:
        """Return the pairs for a batch, or None where the base model answers alone.

        Args:
            batch: Number of rows.
            scale: The factor on the scores of this attention module.

        Raises:
            ValueError: A mixed batch names another number of rows (beams and returned sequences are multiples).
        """
        if not self.is_active():
            return None
        if self.row_adapters is None:
            pairs = joined([self.adapters[name](scale) for name in self.active_adapters if name in self.adapters])
            return pairs if pairs.key.shape[-2] else None
        names = self.adapter_of_each_row(batch)
        used = {name: self.adapters[name](scale) for name in dict.fromkeys(names) if name in self.adapters}
        return per_row([name if name in used else BASE for name in names], used)

    def extra_repr(self) -> str:
        """Show the geometry of the site."""
        site: Any = self.site
        return f"heads={site.heads}, kv_heads={site.kv_heads}, head_dim={site.head_dim}, value_dim={site.value_dim}"
