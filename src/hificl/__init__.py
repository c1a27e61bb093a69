"""Teach a frozen multimodal model a task with a few learned key-value pairs (HiFICL, arXiv:2603.12760).

Names are imported when they are first used: ``import hificl`` loads neither torch nor transformers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hificl.registration import register_when_peft_is_loaded

__version__ = "0.1.0"

_HOME = {
    "HiFICLConfig": "hificl.tuner",
    "HiFICLModel": "hificl.tuner",
    "capture_demonstrations": "hificl.context",
    "initialise_from_demonstrations": "hificl.context",
    "virtual_attention": "hificl.attention",
    "load_backbone": "hificl.backbones",
    "BACKBONES": "hificl.backbones",
    "Example": "hificl.data",
    "TASKS": "hificl.tasks",
    "METHODS": "hificl.methods",
    "evaluate": "hificl.evaluation",
    "train": "hificl.training",
    "load": "hificl.run",
}

_MODULES = ("metrics", "statistics")

if TYPE_CHECKING:
    from hificl.attention import virtual_attention
    from hificl.backbones import BACKBONES, load_backbone
    from hificl.context import capture_demonstrations, initialise_from_demonstrations
    from hificl.data import Example
    from hificl.evaluation import evaluate
    from hificl.methods import METHODS
    from hificl.run import load
    from hificl.tasks import TASKS
    from hificl.training import train
    from hificl.tuner import HiFICLConfig, HiFICLModel

__all__ = [
    "BACKBONES",
    "METHODS",
    "TASKS",
    "Example",
    "HiFICLConfig",
    "HiFICLModel",
    "__version__",
    "capture_demonstrations",
    "evaluate",
    "initialise_from_demonstrations",
    "load",
    "load_backbone",
    "metrics",
    "statistics",
    "train",
    "virtual_attention",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"hificl.{name}")
    else:
        raise AttributeError(f"module 'hificl' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register_when_peft_is_loaded()
