"""The sidecar of interventions, on the module whose output they change."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hificl.tuner.hooks import attach
from hificl.tuner.intervention import Call, Intervention
from hificl.tuner.places import Place
from hificl.tuner.prefill import Prefill
from hificl.tuner.sidecar import Sidecar


class InterventionLayer(Sidecar):
    """The interventions of every adapter at one place."""

    adapter_layer_names = ("hificl_interventions",)

    def __init__(self, place: Place, prefill: Prefill) -> None:
        super().__init__(place.name)
        self.place, self.prefill = place, prefill

    def _move_adapter_to_device_of_base_layer(self, adapter_name: str, device: torch.device | None = None) -> None:
        if adapter_name in self.adapters:
            adapter: Intervention = self.adapters[adapter_name]  # type: ignore[assignment]
            real = self.device.type != "meta" and all(
                name in adapter.not_stored or not parameter.is_meta for name, parameter in adapter.named_parameters()
            )
            for name in adapter.not_stored if real else ():  # the file that was loaded has none
                parameter = getattr(adapter, name)
                if parameter.is_meta:
                    setattr(adapter, name, nn.Parameter(torch.zeros_like(parameter, device="cpu"), requires_grad=False))
        super()._move_adapter_to_device_of_base_layer(adapter_name, device)

    def forward(self, activation: Tensor) -> Tensor | None:
        """Return the changed activation, or None where the base model answers alone.

        Raises:
            ValueError: A mixed batch names another number of rows, or an intervention gives back another shape or
                dtype.
        """
        if not self.is_active():
            return None
        if self.row_adapters is None:
            for name in self.active_adapters:
                if name in self.adapters:
                    activation = self._act(name, activation)
            return activation
        names = self.adapter_of_each_row(activation.shape[0])
        changed = activation.clone()
        for adapter in dict.fromkeys(names):
            if adapter in self.adapters:
                rows = [row for row, name in enumerate(names) if name == adapter]
                changed[rows] = self._act(adapter, activation[rows])
        return changed

    def _act(self, adapter_name: str, activation: Tensor) -> Tensor:
        changed: Tensor = self.adapters[adapter_name](activation, Call(self.prefill.is_prefill))
        if changed.shape != activation.shape or changed.dtype != activation.dtype:
            raise ValueError(
                f"{self.name}: {type(self.adapters[adapter_name]).__name__} makes {list(changed.shape)} "
                f"{changed.dtype} of {list(activation.shape)} {activation.dtype}; it must keep shape and dtype"
            )
        return changed

    def extra_repr(self) -> str:
        """Show the place."""
        return f"site={self.place.site!r}, layer={self.place.layer}"


def child_name(site: str) -> str:
    """Return the name of the sidecar on its module.

    It must not contain the method's prefix: PEFT's ``delete_adapter`` skips modules below such a name.
    """
    return f"at_{site}"


class CallSidecar:
    """The function at a place that asks the sidecar there. It finds it by name, so that copies ask their own."""

    def __init__(self, site: str) -> None:
        self.child = child_name(site)

    def __call__(self, module: nn.Module, activation: Tensor) -> Tensor | None:
        """Return what the sidecar makes of the activation."""
        changed: Tensor | None = getattr(module, self.child)(activation)
        return changed


def install(model: nn.Module, place: Place, prefill: Prefill) -> InterventionLayer:
    """Put a sidecar at a place, or return the one that is there."""
    module, child = model.get_submodule(place.name), child_name(place.site)
    if child in module._modules:
        present: InterventionLayer = getattr(module, child)
        return present
    sidecar = InterventionLayer(place, prefill).train(module.training)
    sidecar.handles = attach(model, place, CallSidecar(place.site))
    module.add_module(child, sidecar)
    return sidecar
