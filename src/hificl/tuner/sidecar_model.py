"""What PEFT asks of a method that sits beside modules, whatever sits there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, NoReturn

from peft.tuners.tuners_utils import BaseTuner
from peft.utils import AuxiliaryTrainingWrapper
from peft.utils.error import NoMatchingPeftModuleError
from torch import Tensor, nn

from hificl.errors import InputError
from hificl.tuner.mixed_batch import mixed_batch, whole_modules
from hificl.tuner.redirect import release
from hificl.tuner.sidecar import Sidecar, sidecars
from hificl.tuner.storage import mark, match_entries, own_entries, refuse_foreign


class SidecarModel(BaseTuner):
    """A tuner that gives modules of the frozen model a child, and changes no class, parameter name or ``forward``.

    A method tells which modules by ``_check_target_module_exists`` and what they get by ``_create_and_replace``.
    """

    prefix = "hificl_"
    tuner_layer_cls: type[Sidecar]
    target_module_mapping: dict[str, list[str]] = {}
    no_merge: ClassVar[str]
    """Why the adapter cannot become part of the weights."""

    def sidecars(self) -> list[Any]:
        """Return the sidecars of this kind of method, in the order of the modules."""
        return [sidecar for _, _, sidecar in sidecars(self.model, self.tuner_layer_cls)]

    def no_match(self, peft_config: Any) -> str:
        """Say that a config leaves nowhere to act."""
        raise TypeError(f"{type(self).__name__} defines no no_match(peft_config)")

    def clean(self) -> None:
        """Take off what the method has put on the model beside its sidecars, which are gone."""

    def _prepare_adapter_config(self, peft_config: Any, model_config: dict[str, Any]) -> Any:
        """Leave ``target_modules=None`` as it is: it stands for "by structure", also when the adapter is loaded."""
        return peft_config

    def _check_target_module_compatiblity(self, peft_config: Any, model: nn.Module, target_name: str) -> None:
        """Nothing more to check: matching has looked at the module."""

    def inject_adapter(self, model: nn.Module, adapter_name: str, *args: Any, **kwargs: Any) -> None:
        """Add an adapter to the model; see :meth:`peft.tuners.tuners_utils.BaseTuner.inject_adapter`."""
        try:
            super().inject_adapter(model, adapter_name, *args, **kwargs)
        except NoMatchingPeftModuleError as error:
            raise InputError(self.no_match(self.peft_config[adapter_name])) from error

    @classmethod
    def _get_adapter_state_dict(
        cls,
        model: nn.Module,
        config: Any,
        adapter_name: str,
        state_dict: dict[str, Tensor],
        unwanted_adapter_names: list[str],
    ) -> dict[str, Tensor]:
        """Select the entries of one adapter: the default of PEFT would sweep up other methods on the same model."""
        container = cls.tuner_layer_cls.container()
        return own_entries(state_dict, container, adapter_name, cls._not_stored(model, adapter_name))

    @classmethod
    def _not_stored(cls, model: nn.Module, adapter_name: str) -> set[tuple[str, str]]:
        """Return what an adapter keeps out of its file: (name of the sidecar on its module, parameter)."""
        return {
            (child, parameter)
            for _, child, sidecar in sidecars(model, cls.tuner_layer_cls)
            if adapter_name in sidecar.adapters
            for parameter in getattr(sidecar.adapters[adapter_name], "not_stored", ())
        }

    @classmethod
    def _remove_adapter_name_from_key(cls, key: str, adapter_name: str) -> str:
        """Take the name out where we put it: PEFT's rule would take it for one of our parameters called the same."""
        container = cls.tuner_layer_cls.container()
        if mark(container) in key:
            return key.replace(mark(container, adapter_name), mark(container), 1)
        return super()._remove_adapter_name_from_key(key, adapter_name)

    @classmethod
    def _remap_adapter_state_dict_for_load(
        cls, model: nn.Module, config: Any, adapter_name: str, state_dict: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        container = cls.tuner_layer_cls.container()
        whole = own_entries(model.state_dict(), container, adapter_name)
        own = own_entries(whole, container, adapter_name, cls._not_stored(model, adapter_name))
        expected = {cls._remove_adapter_name_from_key(key, adapter_name): (key, tensor) for key, tensor in own.items()}
        stored = {key: tensor for key, tensor in state_dict.items() if mark(container) in key}
        others = {key: tensor for key, tensor in state_dict.items() if key not in stored}
        refuse_foreign(others.keys() - _saved_modules(model, adapter_name), adapter_name)
        # What no file holds stays as it is, or PEFT would report it as missing.
        return whole | match_entries(expected, stored, adapter_name) | others

    def _check_merge_allowed(self) -> NoReturn:
        raise ValueError(self.no_merge)

    def unmerge_adapter(self) -> NoReturn:
        """Refuse: nothing can have been merged."""
        raise ValueError(self.no_merge)

    def _unload_and_optionally_merge(self, merge: bool = True, *args: Any, **kwargs: Any) -> Any:
        if merge:
            self._check_merge_allowed()
        for module, child, sidecar in sidecars(self.model, self.tuner_layer_cls):
            for handle in sidecar.handles:
                handle.remove()
            delattr(module, child)
            release(module)
        for name, wrapper in whole_modules(self.model):
            parent, _, child = name.rpartition(".")
            setattr(self.model.get_submodule(parent), child, wrapper.original_module)
        self.clean()
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
        with mixed_batch(list(names), self.sidecars(), self.model, args, kwargs):
            yield


def _saved_modules(model: nn.Module, adapter_name: str) -> set[str]:
    """Return the entries of ``modules_to_save`` as PEFT hands them over: under the model's names, with adapter name."""
    return {
        f"{name}.{entry}"
        for name, wrapper in model.named_modules()
        if isinstance(wrapper, AuxiliaryTrainingWrapper)
        for entry in wrapper.adapter_state_dict_load_map(adapter_name).values()
    }
