"""What the layers of one forward make of a tensor that all of them are given, made once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

Result = TypeVar("Result")


class _Made(NamedTuple):
    asked: tuple[Any, ...]
    version: int | None
    """That of the tensor when this was made; tensors of inference mode have none."""

    sites: set[str]
    """The layers that had it."""

    result: Any


class OncePerForward:
    """Remembers what was made last of a tensor, for as long as the tensor lives and nothing is written into it.

    The result must not hold the tensor itself, not as the base of a view either: both would then live forever.
    """

    def __init__(self) -> None:
        """Begin with nothing remembered."""
        self._of: WeakIdKeyDictionary = WeakIdKeyDictionary()

    def get(self, of: Tensor, site: str, asked: tuple[Any, ...], make: Callable[[], Result]) -> Result:
        """Return what ``make`` made of a tensor in this forward, for whatever layer.

        Args:
            of: A tensor that all layers get as the same object. A traced one has nothing to be remembered by.
            site: Name of the layer that asks. Torch does not count what is written into tensors of inference mode; that
                the same layer asks again then tells the next forward.
            asked: All else that the result depends on.
            make: Makes it.
        """
        if torch.compiler.is_compiling():
            return make()
        version = None if of.is_inference() else of._version
        found: _Made | None = self._of.get(of)
        is_known = found is not None and (found.asked, found.version) == (asked, version)
        if found is None or not is_known or (version is None and site in found.sites):
            found = self._of[of] = _Made(asked, version, set(), make())
        found.sites.add(site)
        result: Result = found.result
        return result
