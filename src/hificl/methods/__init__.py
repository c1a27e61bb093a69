"""The methods that can be trained, fitted or compared, one per file; importing this does not import torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hificl.methods.catalogue import ENTRIES
from hificl.methods.method import Method

METHODS: Mapping[str, Method] = MappingProxyType({method.name: method for method in ENTRIES})
"""Every method by name, the plain ones first."""

__all__ = ["METHODS", "Method"]
