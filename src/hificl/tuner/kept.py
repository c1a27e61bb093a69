"""Pairs that a generation has multiplied out once, where the compiled steps of that generation find them.

Code that runs in Python asks at every step whether the parameters are still those that it made its pairs of. A compiled
graph cannot ask, so what it reads here is taken away when the generation ends and when an adapter is switched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hificl.tuner.pairs import Pairs


class KeptPairs:
    """The pairs of all layers of one model, by the name of the layer, while a generation is under way.

    What is written into a parameter between two compiled steps of one generation is not seen until the next.
    """

    def __init__(self) -> None:
        self.pairs: dict[str, Pairs] | None = None

    @contextmanager
    def open(self) -> Iterator[None]:
        """Keep pairs inside the context. One generation within another leaves the outer one with nothing kept."""
        outer, self.pairs = self.pairs, {}
        try:
            yield
        finally:
            self.pairs = None if outer is None else {}

    def put(self, layer: str, pairs: Pairs) -> None:
        """Keep the pairs of a layer, if a generation is under way."""
        if self.pairs is not None:
            self.pairs[layer] = pairs

    def get(self, layer: str, batch: int) -> Pairs | None:
        """Return the pairs of a layer, or None where none are kept for a batch of this size."""
        found = None if self.pairs is None else self.pairs.get(layer)
        if found is None or (found.key.dim() == 4 and found.key.shape[0] != batch):
            return None
        return found

    def clear(self) -> None:
        """Keep nothing of what was there: an adapter changed."""
        if self.pairs:
            self.pairs = {}
