"""Functions at places of the text decoder: they see the activation there and may replace it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from hificl.tuner.places import Place
from hificl.tuner.redirect import Function, add_function, release


class Rows:
    """A forward pre-hook on a layer that notes the number of rows: some layers flatten them before the feed-forward."""

    def __init__(self) -> None:
        self.batch = 1

    def __call__(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Take the note."""
        hidden = args[0] if args else kwargs["hidden_states"]
        self.batch = hidden.shape[0]


class Output:
    """A forward hook that hands the output of a module, or the first of its outputs, to a function.

    It refers to no module, so that a deep copy of the module tree has hooks of its own.
    """

    def __init__(self, function: Function, rows: Rows | None) -> None:
        self.function, self.rows = function, rows

    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        """Return the changed output, or None to leave it."""
        first: Tensor = output[0] if isinstance(output, tuple) else output
        flat = self.rows is not None and first.dim() == 2
        activation = first.unflatten(0, (self.rows.batch, -1)) if self.rows is not None and flat else first
        changed = self.function(module, activation)
        if changed is None:
            return None
        changed = changed.flatten(0, 1) if flat else changed
        return (changed, *output[1:]) if isinstance(output, tuple) else changed


def attach(model: nn.Module, place: Place, function: Function) -> tuple[RemovableHandle, ...]:
    """Let a function see and replace the activation at a place.

    Returns:
        Handles that take it off. After those of ``"head_output"``, :func:`hificl.tuner.redirect.release` gives the
        module its config back.

    Raises:
        InputError: See :func:`on_place`.
    """
    module = model.get_submodule(place.name)
    if place.site == "head_output":
        return (add_function(place.name, module, function),)
    if place.site != "mlp_output":
        return (module.register_forward_hook(Output(function, None)),)
    rows = Rows()
    layer = model.get_submodule(place.name.rpartition(".")[0])
    return (
        layer.register_forward_pre_hook(rows, with_kwargs=True),
        module.register_forward_hook(Output(function, rows)),
    )


class Handle:
    """What :func:`on_place` returns."""

    def __init__(self, module: nn.Module, handles: tuple[RemovableHandle, ...]) -> None:
        self.module, self.handles = module, handles

    def remove(self) -> None:
        """Take the function off; nothing is left of it. A second time does nothing."""
        for handle in self.handles:
            handle.remove()
        release(self.module)


def on_place(model: nn.Module, place: Place, function: Callable[[Tensor], Tensor | None]) -> Handle:
    """Call a function with the activation at a place, in every forward until the handle is removed.

    Functions at one place run in the order in which they were put there, adapters included.

    Args:
        model: The model in which the place was found.
        place: One of :func:`hificl.tuner.places.find_places`.
        function: Gets [batch queries hidden], or [batch queries heads head_dim] at ``"head_output"`` (after virtual
            pairs, before the output projection), and returns a tensor of the same shape, or None to change nothing.

    Returns:
        A handle whose ``remove()`` takes the function off.

    Raises:
        InputError: ``"head_output"`` of a module that chooses what to compute by the name of its attention
            implementation, which has to change.
    """
    handles = attach(model, place, lambda _, activation: function(activation))
    return Handle(model.get_submodule(place.name), handles)
