"""The methods that can be trained or compared, one per file; importing this does not import torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hificl.methods.hificl import HIFICL
from hificl.methods.icl import ICL
from hificl.methods.lora import LORA
from hificl.methods.method import Method
from hificl.methods.zero_shot import ZERO_SHOT

METHODS: Mapping[str, Method] = MappingProxyType({method.name: method for method in (ZERO_SHOT, ICL, LORA, HIFICL)})
"""Every method by name, the plain ones first."""

__all__ = ["METHODS", "Method"]
