"""Make HiFICL known to PEFT: at once if PEFT is loaded, else in the moment in which it is.

PEFT has no entry points. A finder that waits for the import of ``peft`` and then removes itself keeps
``import hificl`` cheap and lets ``PeftModel.from_pretrained`` find the method in any import order.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

IN_METHODS = ("TASK_VECTOR", "FUNCTION_VECTOR", "ICV", "I2CL", "MTV", "LIVE", "MIMIC", "M2IV")
"""PEFT types whose config class stands in the file of that name, in small letters, in ``hificl.methods``."""


class Deferred:
    """Stands in PEFT's table for a config class whose file is imported when PEFT first uses the class.

    The file enters the class itself (:func:`hificl.tuner.config.registered`).
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def load(self) -> Any:
        """Import the file and return the class."""
        from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

        table: dict[Any, Any] = PEFT_TYPE_TO_CONFIG_MAPPING
        importlib.import_module(f"hificl.methods.{self.kind.lower()}")
        return table[self.kind]

    def __call__(self, **options: Any) -> Any:
        """Make a config; what the class does not take is left out with a warning, as PEFT does it for classes."""
        return self.load().from_peft_type(**options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.load(), name)


def register() -> None:
    """Enter configs, tuners and key prefixes in PEFT's tables; what is there already (a later PEFT's own) stays."""
    from peft.mapping import (
        PEFT_TYPE_TO_CONFIG_MAPPING,
        PEFT_TYPE_TO_PREFIX_MAPPING,
        PEFT_TYPE_TO_TUNER_MAPPING,
    )

    from hificl.tuner.config import HiFICLPeftType
    from hificl.tuner.intervention_model import InterventionModel
    from hificl.tuner.model import HiFICLModel

    configs: dict[Any, Any] = PEFT_TYPE_TO_CONFIG_MAPPING
    for kind in IN_METHODS:
        configs.setdefault(HiFICLPeftType[kind], Deferred(kind))
    pairs = (HiFICLPeftType.HIFICL, HiFICLPeftType.MIMIC)
    for kind in HiFICLPeftType:
        name: Any = kind
        PEFT_TYPE_TO_TUNER_MAPPING.setdefault(name, HiFICLModel if kind in pairs else InterventionModel)
        PEFT_TYPE_TO_PREFIX_MAPPING.setdefault(name, HiFICLModel.prefix)


class _RegisteringLoader(importlib.abc.Loader):
    """Loads ``peft`` with its own loader, then takes the finder out of the way and registers."""

    def __init__(self, loader: importlib.abc.Loader, finder: _PeftFinder) -> None:
        self.loader, self.finder = loader, finder

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)  # if it is interrupted, the finder stays for the next try
        if self.finder in sys.meta_path:
            sys.meta_path.remove(self.finder)
        if "hificl.tuner" not in sys.modules:  # else it is being imported right now, and registers at its end
            register()


class _PeftFinder(importlib.abc.MetaPathFinder):
    """Hands out a registering loader for ``peft``. Asking is not importing: many only look."""

    def __init__(self) -> None:
        self.asking = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "peft" or self.asking:
            return None
        self.asking = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self.asking = False
        if spec is not None and spec.loader is not None:
            spec.loader = _RegisteringLoader(spec.loader, self)
        return spec


def register_when_peft_is_loaded() -> None:
    """Register now if PEFT is imported, else right after its import."""
    peft = sys.modules.get("peft")
    if peft is None:
        sys.meta_path.insert(0, _PeftFinder())
    elif not getattr(getattr(peft, "__spec__", None), "_initializing", False):
        register()
