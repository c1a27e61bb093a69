"""What a cell is: a method with its options, shots and seed, on a backbone or a control made from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hificl import records
from hificl.errors import InputError
from hificl.evaluation import RETRIEVALS, Decoding
from hificl.evaluation.presets import GREEDY
from hificl.methods import METHODS

RANDOM_LM = "random_lm"


@dataclass(frozen=True)
class Cell:
    """What is run: a method with its number of shots, under a seed, on the backbone or on a control made from it.

    Raises:
        InputError: An unknown method or control, or shots or options that do not fit the method.
    """

    method: str
    """Name in ``METHODS``."""

    shots: int = 0
    """Demonstrations in every prompt; only in-context learning has some."""

    seed: int = 0
    """Seed of the adapter, the order of the examples, the demonstrations and the control."""

    control: str | None = None
    """``"random_lm"``: on the backbone with a random language model; None: on the backbone itself."""

    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Fields of the recipe or of the PEFT config that differ from the method's own; ``retrieval`` for icl."""

    variant: str | None = None
    """What a method with these options is called; None where it has no name of its own."""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"cell: unknown method {self.method!r}; known are {', '.join(METHODS)}.")
        if self.control not in (None, RANDOM_LM):
            raise InputError(f"cell: unknown control {self.control!r}; there is {RANDOM_LM!r} or None.")
        if (self.shots > 0) != (self.method == "icl"):
            raise InputError(f"cell: {self.method} with {self.shots} shots; icl needs 1 or more, the others have 0.")
        taken = {"icl": {"retrieval"}, "zero_shot": set()}.get(self.method)
        if taken is not None and not taken >= self.options.keys():
            names = ", ".join(sorted(self.options.keys() - taken))
            raise InputError(f"cell: {self.method} has no option {names}; leave it out.")
        if self.retrieval not in RETRIEVALS:
            raise InputError(f"cell: retrieval {self.retrieval!r} is unknown; use {' or '.join(RETRIEVALS)}.")

    @property
    def retrieval(self) -> str:
        """How demonstrations are chosen; only in-context learning has some."""
        return str(self.options.get("retrieval", "random"))

    @property
    def name(self) -> str:
        """Name of its folder, such as ``icl_8``, ``dora`` or ``hificl_random_lm``; the seed is not in it."""
        options = f"_{records.content_hash(self.options)[:8]}" if self.options else ""
        shots = f"_{self.shots}" if self.shots else ""
        return f"{self.variant or self.method + options}{shots}" + (f"_{self.control}" if self.control else "")


@dataclass(frozen=True)
class Setting:
    """How the queries of a task are answered and scored, beyond its metric."""

    decoding: Decoding = GREEDY
    """Beams, length and length penalty; greedy by default."""

    postprocess: Callable[[str], str] | None = None
    """Brings an answer into the form that is scored, as for OK-VQA."""

    source: Mapping[str, Any] | None = None
    """What the records say about the rows, as JSON values: task, protocol, skipped rows."""
