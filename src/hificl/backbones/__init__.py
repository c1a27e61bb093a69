"""Frozen multimodal models: families as data, loading, prompts, and the way from an example to a batch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hificl.backbones.family import Family, GenerationForm
from hificl.backbones.prompts import PromptForm
from hificl.backbones.registry import BACKBONES, family_of

if TYPE_CHECKING:
    from hificl.backbones.backbone import Backbone
    from hificl.backbones.batching import IGNORED_LABEL, collate
    from hificl.backbones.encoding import Encoded, check_context, encode, encode_context
    from hificl.backbones.geometry import build_on_meta, read_geometry
    from hificl.backbones.load import load_backbone
    from hificl.backbones.opening import with_opening

__all__ = [
    "BACKBONES",
    "IGNORED_LABEL",
    "Backbone",
    "Encoded",
    "Family",
    "GenerationForm",
    "PromptForm",
    "build_on_meta",
    "check_context",
    "collate",
    "encode",
    "encode_context",
    "family_of",
    "load_backbone",
    "read_geometry",
    "with_opening",
]

# The names that need torch: listing the families must not load it.
_HEAVY = {
    "Backbone": "backbone",
    "IGNORED_LABEL": "batching",
    "collate": "batching",
    "Encoded": "encoding",
    "check_context": "encoding",
    "encode": "encoding",
    "encode_context": "encoding",
    "with_opening": "opening",
    "build_on_meta": "geometry",
    "read_geometry": "geometry",
    "load_backbone": "load",
}


def __getattr__(name: str) -> Any:
    if name not in _HEAVY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HEAVY[name]}"), name)
    globals()[name] = value
    return value
