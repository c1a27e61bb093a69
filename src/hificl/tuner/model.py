"""The tuner of virtual key-value pairs: they sit beside attention modules."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from peft.tuners.tuners_utils import check_target_module_exists
from torch import nn

from hificl.errors import InputError
from hificl.tuner.kept import KeptPairs
from hificl.tuner.layer import HiFICLLayer
from hificl.tuner.positions import install_positions, remove_positions
from hificl.tuner.redirect import SIDECAR, redirect
from hificl.tuner.sidecar import compute_device
from hificl.tuner.sidecar_model import SidecarModel
from hificl.tuner.sites import Site, find_sites, text_decoder


class HiFICLModel(SidecarModel):
    """Attaches virtual key-value pairs to the attention modules of a text decoder.

    Made by ``peft.get_peft_model(model, HiFICLConfig())``. Each adapted module gets a sidecar :class:`HiFICLLayer`; no
    class, no parameter name and no ``forward`` of the base changes.
    """

    tuner_layer_cls = HiFICLLayer
    no_merge = (
        "virtual key-value pairs cannot be merged into the weights: what they add depends on the query. Keep the "
        "adapter (it costs next to nothing), or call unload() to get the base model back."
    )

    @property
    def kept(self) -> KeptPairs:
        """What all sidecars of this model share for the compiled steps of a generation."""
        return self.__dict__.setdefault("_kept", KeptPairs())

    @contextmanager
    def _enable_peft_forward_hooks(self, *args: Any, **kwargs: Any) -> Iterator[None]:
        """PEFT enters this for one forward or generate: that long pairs are kept. A traced call keeps none."""
        keeping = nullcontext() if torch.compiler.is_compiling() else self.kept.open()
        with keeping, super()._enable_peft_forward_hooks(*args, **kwargs):
            yield

    @property
    def sites(self) -> dict[str, Site]:
        """Attention modules of the text decoder by name, found once."""
        if "_sites" not in self.__dict__:
            self.__dict__["_sites"] = find_sites(self.model)
        return self.__dict__["_sites"]

    @property
    def adapter_weights(self) -> dict[str, float]:
        """What :meth:`set_adapter_weights` set, by adapter name; adapters that are not named have weight 1."""
        return next((dict(layer.weights) for layer in self.sidecars()), {})

    def set_adapter_weights(self, weights: Mapping[str, float]) -> None:
        """Set how much mass adapters have in the joint softmax, where several are active at once.

        Active adapters share one softmax with the prompt, as demonstrations of several tasks in it would. A weight w
        adds log(w) to the scores of an adapter's pairs: they count as w times as many demonstrations. 1 is the adapter
        as it is, 0 takes it away; ``{}`` gives all of them their own mass again. Weights are not stored.

        Args:
            weights: By adapter name; adapters that are not named have weight 1.

        Raises:
            InputError: No such adapter, or a weight that is negative or not finite.
        """
        for name, weight in weights.items():
            if name not in self.peft_config:
                raise InputError(f"there is no adapter {name!r}; loaded are {', '.join(map(repr, self.peft_config))}")
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
                raise InputError(
                    f"the weight of adapter {name!r} is {weight!r}; it must be a number from 0, such as 0.5"
                )
        for layer in self.sidecars():
            layer.weigh(weights)

    def _check_target_module_exists(self, peft_config: Any, key: str) -> Any:  # type: ignore[override]
        site = self.sites.get(key)
        probe = copy.copy(peft_config)
        if peft_config.target_modules is None:
            if site is None or (site.is_cross_attention and not peft_config.cross_attention):
                return False
            probe.target_modules = {key.rsplit(".", 1)[-1]}  # an ending, so that PEFT goes on to the layer indices
        matched = check_target_module_exists(probe, key)
        if matched and site is None:
            raise InputError(
                f"target_modules matches {key} ({type(self.model.get_submodule(key)).__name__}), which is not an "
                f"attention module of the text decoder; name attention modules such as "
                f"{next(iter(self.sites))}, or leave target_modules out"
            )
        return matched

    def _create_and_replace(
        self,
        peft_config: Any,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        site = self.sites[current_key]
        if site.reads_implementation:
            raise InputError(
                f"{current_key} ({type(target).__name__}) computes differently by the name of its attention "
                "implementation, which an adapter changes; leave it out with exclude_modules"
            )
        if SIDECAR not in target._modules:
            target.add_module(SIDECAR, HiFICLLayer(site, self.kept).train(target.training))
            redirect(target)
        layer: Any = getattr(target, SIDECAR)
        layer.update_layer(adapter_name, peft_config, compute_device(target))

    def no_match(self, peft_config: Any) -> str:
        """Say which attention modules there are."""
        options = ("target_modules", "exclude_modules", "layers_to_transform")
        told = ", ".join(f"{name}={value!r}" for name in options if (value := getattr(peft_config, name)) is not None)
        return (
            f"{told or 'this config'} leaves none of the {len(self.sites)} attention modules of the text decoder, "
            f"from {next(iter(self.sites))} to {list(self.sites)[-1]}; name some of these"
        )

    def inject_adapter(self, model: nn.Module, adapter_name: str, *args: Any, **kwargs: Any) -> None:
        """Add an adapter to the model; see :meth:`peft.tuners.tuners_utils.BaseTuner.inject_adapter`."""
        super().inject_adapter(model, adapter_name, *args, **kwargs)
        install_positions(model, text_decoder(model), self.sidecars())

    def clean(self) -> None:
        """Take the hooks off that supply positions."""
        remove_positions(self.model)
