"""The tuner: what PEFT asks of a method that sits beside attention modules."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import torch
from peft.tuners.tuners_utils import BaseTuner, check_target_module_exists
from torch import Tensor, nn

from hificl.errors import InputError
from hificl.tuner.layer import HiFICLLayer
from hificl.tuner.pairs import BASE
from hificl.tuner.positions import install_positions, remove_positions
from hificl.tuner.redirect import SIDECAR, install, remove
from hificl.tuner.sites import Site, find_sites, text_decoder
from hificl.tuner.storage import MARK, match_entries, own_entries

NO_MERGE = (
    "virtual key-value pairs cannot be merged into the weights: what they add depends on the query. Keep the adapter "
    "(it costs next to nothing), or call unload() to get the base model back."
)


class HiFICLModel(BaseTuner):
    """Attaches virtual key-value pairs to the attention modules of a text decoder.

    Made by ``peft.get_peft_model(model, HiFICLConfig())``. Each adapted module gets a sidecar :class:`HiFICLLayer`; no
    class, no parameter name and no ``forward`` of the base changes.
    """

    prefix = "hificl_"
    tuner_layer_cls = HiFICLLayer
    target_module_mapping: dict[str, list[str]] = {}

    @property
    def sites(self) -> dict[str, Site]:
        """Attention modules of the text decoder by name, found once."""
        if "_sites" not in self.__dict__:
            self.__dict__["_sites"] = find_sites(self.model)
        return self.__dict__["_sites"]

    def _prepare_adapter_config(self, peft_config: Any, model_config: dict[str, Any]) -> Any:
        """Leave ``target_modules=None`` as it is: it stands for "by structure", also when the adapter is loaded."""
        return peft_config

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

    def _check_target_module_compatiblity(self, peft_config: Any, model: nn.Module, target_name: str) -> None:
        """Nothing more to check: see :meth:`_check_target_module_exists`."""

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
        if not hasattr(target, SIDECAR):
            device = next((p.device for p in target.parameters()), torch.device("cpu"))
            install(target, HiFICLLayer(self.sites[current_key], device))
        getattr(target, SIDECAR).update_layer(adapter_name, peft_config)

    def inject_adapter(self, model: nn.Module, adapter_name: str, *args: Any, **kwargs: Any) -> None:
        """Add an adapter to the model; see :meth:`peft.tuners.tuners_utils.BaseTuner.inject_adapter`."""
        super().inject_adapter(model, adapter_name, *args, **kwargs)
        install_positions(model, text_decoder(model), _layers(model))

    @classmethod
    def _get_adapter_state_dict(
        cls,
        model: nn.Module,
        config: Any,
        adapter_name: str,
        state_dict: dict[str, Tensor],
        unwanted_adapter_names: list[str],
    ) -> dict[str, Tensor]:
        return own_entries(state_dict, adapter_name)

    @classmethod
    def _remove_adapter_name_from_key(cls, key: str, adapter_name: str) -> str:
        """Take the name out where we put it: PEFT's rule would take it for one of our parameters called the same."""
        if MARK in key:
            return key.replace(f"{MARK}{adapter_name}.", MARK)
        return super()._remove_adapter_name_from_key(key, adapter_name)

    @classmethod
    def _remap_adapter_state_dict_for_load(
        cls, model: nn.Module, config: Any, adapter_name: str, state_dict: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        own = own_entries(model.state_dict(), adapter_name)
        expected = {cls._remove_adapter_name_from_key(key, adapter_name): (key, tensor) for key, tensor in own.items()}
        stored = {key: tensor for key, tensor in state_dict.items() if MARK in key}
        others = {key: tensor for key, tensor in state_dict.items() if key not in stored}
        return match_entries(expected, stored, adapter_name) | others

    def _check_merge_allowed(self) -> NoReturn:
        raise ValueError(NO_MERGE)

    def _unload_and_optionally_merge(self, merge: bool = True, *args: Any, **kwargs: Any) -> Any:
        if merge:
            self._check_merge_allowed()
        for module in [module for module in self.model.modules() if SIDECAR in module._modules]:
            remove(module)
        remove_positions(self.model)
        if hasattr(self.model, "peft_config"):
            del self.model.peft_config
        return self.model

    @contextmanager
    def _enable_peft_forward_hooks(self, *args: Any, **kwargs: Any) -> Iterator[None]:
        """Give each row of the batch its own adapter for the time of one forward or generate (``adapter_names``)."""
        names = kwargs.get("adapter_names")
        if names is None:
            yield
            return
        layers = _layers(self.model)
        self._check_row_adapters(list(names), layers, args, kwargs)
        for layer in layers:
            layer.row_adapters = list(names)
        try:
            yield
        finally:
            for layer in layers:
                layer.row_adapters = None

    def _check_row_adapters(
        self, names: list[str], layers: list[HiFICLLayer], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if self.training:
            raise ValueError("adapter_names cannot be given in training mode; call model.eval() first")
        known = {name for layer in layers for name in layer.hificl_kv}
        unknown = sorted(set(names) - known - {BASE})
        if unknown:
            raise ValueError(f"adapter_names: no adapter {', '.join(unknown)}; loaded are {', '.join(sorted(known))}")
        candidates = [kwargs.get("input_ids"), kwargs.get("inputs"), kwargs.get("inputs_embeds"), *args[:1]]
        rows = next((tensor.shape[0] for tensor in candidates if isinstance(tensor, Tensor)), len(names))
        if rows != len(names):
            raise ValueError(f"adapter_names has {len(names)} names for a batch of {rows} rows; give one name per row")


def _layers(model: nn.Module) -> list[HiFICLLayer]:
    return [module for module in model.modules() if isinstance(module, HiFICLLayer)]
