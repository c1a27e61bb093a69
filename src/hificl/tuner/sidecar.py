"""The sidecar: a child module that holds the adapters of one frozen module and chooses among them at each call."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from torch.utils.hooks import RemovableHandle


class Sidecar(nn.Module, BaseTunerLayer):
    """Adapters beside one frozen module. It wraps nothing: the base keeps its classes, names and weights.

    A kind of sidecar names its one container in ``adapter_layer_names``; the name begins with the method's prefix.
    """

    other_param_names = ()
    weight: Any = None  # the inherited properties look for a wrapped layer and recurse
    bias: Any = None

    def __init__(self, name: str) -> None:
        """Make a sidecar without adapters; ``name`` is that of the frozen module, for messages."""
        super().__init__()
        self.name = name
        self.device = torch.device("cpu")
        self.add_module(self.container(), nn.ModuleDict())
        self.row_adapters: list[str] | None = None
        self.acts_in_rows = False
        self.handles: tuple[RemovableHandle, ...] = ()
        self._disable_adapters = False
        self.merged_adapters = []

    @classmethod
    def container(cls) -> str:
        """Return the name of the child that holds the adapters."""
        return cls.adapter_layer_names[0]

    @property
    def adapters(self) -> nn.ModuleDict:
        """The values of every adapter here, by its name."""
        held: nn.ModuleDict = getattr(self, self.container())
        return held

    def get_base_layer(self) -> nn.Module:
        """Return the sidecar itself: there is no wrapped layer."""
        return self

    def _move_adapter_to_device_of_base_layer(self, adapter_name: str, device: torch.device | None = None) -> None:
        if adapter_name not in self.adapters:
            return
        adapter = self.adapters[adapter_name]
        if not any(parameter.is_meta for parameter in adapter.parameters()):
            adapter.to(device or self.device)

    def hold(self, adapter_name: str, adapter: nn.Module, device: torch.device, *, inference_mode: bool) -> None:
        """Add an adapter, or replace the one of that name; ``device`` is where the frozen module computes now.

        It is in the mode, training or eval, of the sidecar, and so of the module that this sits on.
        """
        self.device = device
        self.adapters[adapter_name] = adapter.train(self.training)
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=inference_mode)

    def changed(self) -> None:
        """Hear that other adapters, or none, may act from now on. A kind that remembers something forgets it here."""

    def set_adapter(self, *args: Any, **kwargs: Any) -> None:
        """Make adapters the active ones; see :meth:`peft.tuners.tuners_utils.BaseTunerLayer.set_adapter`."""
        super().set_adapter(*args, **kwargs)
        self.changed()

    def enable_adapters(self, enabled: bool) -> None:
        """Let the active adapters act, or none."""
        super().enable_adapters(enabled)
        self.changed()

    def delete_adapter(self, adapter_name: str) -> None:
        """Take an adapter away."""
        super().delete_adapter(adapter_name)
        self.changed()

    def is_active(self) -> bool:
        """Say whether a forward would use any adapter here."""
        if self.disable_adapters:
            return False
        if self.row_adapters is not None:
            return self.acts_in_rows
        return any(name in self.adapters for name in self.active_adapters)

    def take_rows(self, names: list[str] | None) -> None:
        """Give each row of the batches to come its adapter; None: all rows have the active ones.

        What every forward asks is answered here: a compiled step that read the names would hold for these alone.
        """
        self.row_adapters = names
        self.acts_in_rows = any(name in self.adapters for name in names or ())

    def adapter_of_each_row(self, batch: int) -> list[str]:
        """Return the adapter of each row of a mixed batch.

        Raises:
            ValueError: The batch is no multiple of the names (beams and returned sequences are multiples).
        """
        names = self.row_adapters or []
        repeats, left_over = divmod(batch, len(names))
        if left_over:
            raise ValueError(f"{self.name}: {len(names)} adapter names for a batch of {batch} rows")
        return [name for name in names for _ in range(repeats)]


def on_meta_if(device: torch.device) -> Any:
    """Return a context in which new tensors take no memory where the model takes none."""
    return device if device.type == "meta" else nullcontext()


def compute_device(module: nn.Module) -> torch.device:
    """Return where a module computes: where an offloading hook moves its weights, else where they are."""
    hooks = (getattr(part, "_hf_hook", None) for part in module.modules())
    moved_to = [getattr(hook, "execution_device", None) for hook in hooks if hook is not None]
    if any(device is not None for device in moved_to):
        return torch.device(next(device for device in moved_to if device is not None))
    return next((parameter.device for parameter in module.parameters()), torch.device("cpu"))


def sidecars(model: nn.Module, kind: type[Sidecar] = Sidecar) -> list[tuple[nn.Module, str, Sidecar]]:
    """Return the sidecars of a kind: the module that each sits on, its name there, and itself."""
    parents = list(model.modules())
    return [
        (parent, name, child)
        for parent in parents
        for name, child in parent._modules.items()
        if isinstance(child, kind)
    ]
