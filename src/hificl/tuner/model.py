"""The tuner: what PEFT asks of a method that sits beside attention modules."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn

import torch
from peft.tuners.tuners_utils import BaseTuner, check_target_module_exists
from peft.utils.error import NoMatchingPeftModuleError
from peft.utils.other import AuxiliaryTrainingWrapper
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
        site = self.sites[current_key]
        if site.reads_implementation:
            raise InputError(
                f"{current_key} ({type(target).__name__}) computes differently by the name of its attention "
                "implementation, which an adapter changes; leave it out with exclude_modules"
            )
        if not hasattr(target, SIDECAR):
            install(target, HiFICLLayer(site))
        getattr(target, SIDECAR).update_layer(adapter_name, peft_config, compute_device(target))

    def inject_adapter(self, model: nn.Module, adapter_name: str, *args: Any, **kwargs: Any) -> None:
        """Add an adapter to the model; see :meth:`peft.tuners.tuners_utils.BaseTuner.inject_adapter`."""
        try:
            super().inject_adapter(model, adapter_name, *args, **kwargs)
        except NoMatchingPeftModuleError as error:
            config: Any = self.peft_config[adapter_name]
            options = ("target_modules", "exclude_modules", "layers_to_transform")
            told = ", ".join(f"{name}={value!r}" for name in options if (value := getattr(config, name)) is not None)
            raise InputError(
                f"{told or 'this config'} leaves none of the {len(self.sites)} attention modules of the text decoder, "
                f"from {next(iter(self.sites))} to {list(self.sites)[-1]}; name some of these"
            ) from error
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

    def unmerge_adapter(self) -> NoReturn:
        """Refuse: nothing can have been merged."""
        raise ValueError(NO_MERGE)

    def _unload_and_optionally_merge(self, merge: bool = True, *args: Any, **kwargs: Any) -> Any:
        if merge:
            self._check_merge_allowed()
        for module in [module for module in self.model.modules() if SIDECAR in module._modules]:
            remove(module)
        for name, wrapper in _whole_modules(self.model):
            parent, _, child = name.rpartition(".")
            setattr(self.model.get_submodule(parent), child, wrapper.original_module)
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
        rows = [name for name in names for _ in range(_beams(kwargs))]
        handles = [
            wrapper.register_forward_pre_hook(partial(_with_adapter_names, rows), with_kwargs=True)
            for _, wrapper in _whole_modules(self.model)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
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


def compute_device(module: nn.Module) -> torch.device:
    """Return where a module computes: where an offloading hook moves its weights, else where they are."""
    hooks = (getattr(part, "_hf_hook", None) for part in module.modules())
    moved_to = [getattr(hook, "execution_device", None) for hook in hooks if hook is not None]
    if any(device is not None for device in moved_to):
        return torch.device(next(device for device in moved_to if device is not None))
    return next((parameter.device for parameter in module.parameters()), torch.device("cpu"))


def _whole_modules(model: nn.Module) -> list[tuple[str, Any]]:
    """Return the wrappers of ``modules_to_save`` with their names."""
    return [(name, part) for name, part in model.named_modules() if isinstance(part, AuxiliaryTrainingWrapper)]


def _with_adapter_names(
    names: list[str], module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, {**kwargs, "adapter_names": names}


def _beams(kwargs: dict[str, Any]) -> int:
    """Return how many rows generation makes of each row of the batch."""
    settings = kwargs.get("generation_config")

    def told(name: str) -> int:
        return int(kwargs.get(name) or getattr(settings, name, None) or 1)

    return max(told("num_beams"), told("num_return_sequences"))


def _layers(model: nn.Module) -> list[HiFICLLayer]:
    return [module for module in model.modules() if isinstance(module, HiFICLLayer)]
