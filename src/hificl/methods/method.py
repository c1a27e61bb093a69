"""What a method is: a name, what it does, and how its PEFT config is made for a backbone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from peft import PeftConfig

    from hificl.backbones import Backbone


@dataclass(frozen=True)
class Method:
    """One way to adapt a frozen backbone to a task, an entry of ``METHODS``."""

    name: str
    """Key in ``METHODS`` and name in records."""

    description: str
    """One line for lists and help."""

    learned: bool
    """Whether it has parameters that training fits; only such methods can be given to ``train``."""

    peft_config: Callable[[Backbone, Mapping[str, Any]], PeftConfig] | None = None
    """Makes the PEFT config for a backbone; the mapping replaces fields of it. None for a method without weights."""
