"""The sidecar: a child module that holds the adapters of one attention module and chooses among them at each call."""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from hificl.tuner.config import HiFICLConfig
from hificl.tuner.pairs import BASE, Pairs, VirtualPairs, joined, per_row
from hificl.tuner.sites import Site


class HiFICLLayer(nn.Module, BaseTunerLayer):
    """Adapters beside one frozen attention module. It wraps nothing: the base keeps its classes, names and weights."""

    adapter_layer_names = ("hificl_kv",)
    other_param_names = ()
    weight: Any = None  # the inherited properties look for a wrapped layer and recurse
    bias: Any = None

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.site = site
        self.device = torch.device("cpu")
        self.hificl_kv = nn.ModuleDict()
        self.row_adapters: list[str] | None = None
        self._disable_adapters = False
        self.merged_adapters = []

    def get_base_layer(self) -> nn.Module:
        """Return the layer itself: there is no wrapped one."""
        return self

    def _move_adapter_to_device_of_base_layer(self, adapter_name: str, device: torch.device | None = None) -> None:
        if adapter_name not in self.hificl_kv:
            return
        adapter = self.hificl_kv[adapter_name]
        if not any(parameter.is_meta for parameter in adapter.parameters()):
            adapter.to(device or self.device)

    def update_layer(self, adapter_name: str, config: HiFICLConfig, device: torch.device) -> None:
        """Add an adapter, or replace the one of that name; ``device`` is where the attention module computes now."""
        self.device = device
        self.hificl_kv[adapter_name] = VirtualPairs(self.site, config)
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def is_active(self) -> bool:
        """Say whether a forward would use any adapter here."""
        if self.disable_adapters:
            return False
        names = self.row_adapters if self.row_adapters is not None else self.active_adapters
        return any(name in self.hificl_kv for name in names)

    def forward(self, batch: int) -> Pairs | None:
        """Return the pairs for a batch of that many rows, or None where the base model answers alone.

        Raises:
            ValueError: A mixed batch names another number of rows (beams and returned sequences are multiples).
        """
        if not self.is_active():
            return None
        if self.row_adapters is None:
            pairs = joined([self.hificl_kv[name]() for name in self.active_adapters if name in self.hificl_kv])
            return pairs if pairs.key.shape[-2] else None
        repeats, left_over = divmod(batch, len(self.row_adapters))
        if left_over:
            raise ValueError(f"{self.site.name}: {len(self.row_adapters)} adapter names for a batch of {batch} rows")
        names = [name for name in self.row_adapters for _ in range(repeats)]
        used = {name: self.hificl_kv[name]() for name in dict.fromkeys(names) if name in self.hificl_kv}
        return per_row([name if name in used else BASE for name in names], used)

    def extra_repr(self) -> str:
        """Show the geometry of the site."""
        site: Any = self.site
        return f"heads={site.heads}, kv_heads={site.kv_heads}, head_dim={site.head_dim}, value_dim={site.value_dim}"
