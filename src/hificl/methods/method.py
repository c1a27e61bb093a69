"""What a method is: a name, what it does, and where its formula, its config and its fit stand."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from hificl.errors import InputError

if TYPE_CHECKING:
    from peft import PeftConfig

    from hificl.backbones import Backbone

Kind = Literal["prompt", "trained", "fitted"]


@dataclass(frozen=True)
class Method:
    """One way to adapt a frozen backbone to a task, an entry of ``METHODS``. Making one imports no torch."""

    name: str
    """Key in ``METHODS``, name in records, and name of its file in ``hificl.methods``."""

    description: str
    """One line for lists and help."""

    kind: Kind
    """``"prompt"``: nothing but the prompt changes. ``"trained"``: gradients fit its parameters. ``"fitted"``: its
    values are computed from activations of demonstrations, and a held-out part of the support set chooses the rest."""

    source: str
    """Where the method was published."""

    recipe: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the training recipe that differ from those of HiFICL, whatever the recipe."""

    robust: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the recipe or of the PEFT config that the recipe ``robust`` sets."""

    otherwise: tuple[Mapping[str, Any], ...] = ()
    """What takes the place of these where the model or the examples refuse them, tried in this order. The last way does
    without what the recipe is about, and is none for a caller who sets something of it."""

    search: tuple[Mapping[str, Any], ...] = ()
    """The trials of the hyper-parameter search, as overrides: as many for every method that has a choice."""

    @property
    def learned(self) -> bool:
        """Whether gradients fit its parameters."""
        return self.kind == "trained"

    @property
    def implementation(self) -> ModuleType:
        """The file of the method, imported on first use; it has ``peft_config`` and, where needed, ``fit``.

        Raises:
            InputError: The method acts through the prompt alone.
        """
        if self.kind == "prompt":
            raise InputError(f"{self.name} changes nothing but the prompt; there is nothing to train or to attach.")
        return importlib.import_module(f"hificl.methods.{self.name}")

    def peft_config(self, backbone: Backbone, options: Mapping[str, Any]) -> PeftConfig:
        """Return the PEFT config for a backbone, of which only the model is read; ``options`` replace fields of it.

        Raises:
            InputError: The method acts through the prompt alone, or an option is wrong for it.
        """
        config: PeftConfig = self.implementation.peft_config(backbone, options)
        return config
