"""What a method that changes activations consists of: a config that says where it acts, and a module that acts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from peft.config import PeftConfig
from torch import Tensor, nn

from hificl.errors import InputError
from hificl.tuner.config import HiFICLPeftType
from hificl.tuner.places import Place


class Call(NamedTuple):
    """What an intervention may know of the forward in which it acts."""

    is_prefill: bool
    """The text decoder runs on an empty cache or without one: the first forward of a generation, and every forward of
    training and scoring. False in the later steps of a generation, and in all but the first part of a prompt that is
    read in parts."""


class Intervention(nn.Module):
    """The values of one adapter at one place, and what they do to the activation there.

    Trained values are parameters; extracted ones are persistent buffers, so that trainable and stored numbers can be
    counted on the module. It is *called*, so that hooks (offload, sharding) run.
    """

    not_stored: ClassVar[tuple[str, ...]] = ()
    """Names of parameters that a fit needs but the adapter does not: they are left out of its file, and zero where it
    is loaded onto the meta device first (``low_cpu_mem_usage``)."""

    def forward(self, activation: Tensor, call: Call) -> Tensor:
        """Return what the model is to go on with.

        Args:
            activation: [batch queries hidden], or [batch queries heads value_dim] at ``"head_output"``; the dtype is
                that of the model. The last prompt token is index -1 of the queries: prompts are padded on the left.
            call: In which forward this is.

        Returns:
            A tensor of the same shape and dtype; ``activation`` itself is not changed in place.
        """
        raise TypeError(f"{type(self).__name__} defines no forward(activation, call)")


@dataclass
class InterventionConfig(PeftConfig):
    """The options of a method that acts at places of the text decoder, as a PEFT config.

    A method derives from it as a dataclass, sets ``kind`` and ``sites``, writes :meth:`build`, and is entered in PEFT's
    tables by :func:`hificl.tuner.config.registered`. What a fit chose and a load needs (a layer, heads) is a field.

    Args:
        layers_to_transform: Layers to act in, counted from 0 over the self-attention layers of the text decoder; all
            by default.

    Raises:
        InputError: A layer is not a number from 0.
    """

    kind: ClassVar[HiFICLPeftType]
    """The ``peft_type`` of the method."""
    sites: ClassVar[tuple[str, ...]] = ()
    """Where the method acts, of :data:`hificl.tuner.places.SITES`."""
    target_modules: ClassVar[None] = None
    """PEFT asks for it; places are found by structure instead."""

    layers_to_transform: list[int] | int | None = field(default=None, metadata={"help": "layer indices"})

    def __post_init__(self) -> None:
        """Refuse what no adapter can have."""
        super().__post_init__()
        self.peft_type: Any = self.kind
        for layer in self.layers() or ():
            if isinstance(layer, bool) or not isinstance(layer, int) or layer < 0:
                raise InputError(
                    f"{type(self).__name__}: layers_to_transform={self.layers_to_transform!r} must hold layer indices "
                    "from 0, such as 12 or [0, 1]"
                )

    def layers(self) -> list[int] | None:
        """Return ``layers_to_transform`` as a list; None stands for all layers."""
        told = self.layers_to_transform
        return [told] if isinstance(told, int) else told

    def check(self, places: Sequence[Place]) -> None:
        """Refuse what a model does not have.

        Args:
            places: Those of one site, one for each layer.

        Raises:
            InputError: A layer is beyond the last; a method adds what it names besides.
        """
        beyond = [layer for layer in self.layers() or () if layer >= len(places)]
        if beyond:
            raise InputError(
                f"layers_to_transform={self.layers_to_transform!r}: there is no layer {beyond[0]}, the text decoder "
                f"has {len(places)} with self-attention; choose from 0 to {len(places) - 1}"
            )

    def build(self, place: Place) -> Intervention | None:
        """Return the module that acts at a place, with its initial values, or None where the method does nothing.

        It is called once per place of ``sites`` in the layers of ``layers_to_transform``, and makes its tensors without
        naming a device, so that they can be counted on the meta device.
        """
        raise TypeError(f"{type(self).__name__} defines no build(place)")
