"""The options of an adapter, as a PEFT config."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from peft.config import PeftConfig
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from torch import nn

from hificl.errors import InputError
from hificl.registration import Deferred
from hificl.tuner.pairs import VirtualPairs
from hificl.tuner.sites import Site


class HiFICLPeftType(str, enum.Enum):  # noqa: UP042  (PEFT compares and hashes it as its value)
    """The ``peft_type`` of our methods. PEFT's enum is closed; its tables are open and look strings up by value."""

    HIFICL = "HIFICL"
    MIMIC = "MIMIC"
    TASK_VECTOR = "TASK_VECTOR"
    FUNCTION_VECTOR = "FUNCTION_VECTOR"
    ICV = "ICV"
    I2CL = "I2CL"
    MTV = "MTV"
    LIVE = "LIVE"
    M2IV = "M2IV"


Config = TypeVar("Config", bound=PeftConfig)


def registered(config: type[Config]) -> type[Config]:
    """Enter a config class under its ``kind`` where PEFT looks for it; another one there stays. A decorator."""
    table: dict[Any, Any] = PEFT_TYPE_TO_CONFIG_MAPPING
    kind = config.kind  # type: ignore[attr-defined]
    if isinstance(table.get(kind, Deferred(kind)), Deferred):
        table[kind] = config
    return config


CHOICES = {
    "share": ("query", "kv"),
    "mixing": ("softmax", "additive"),
    "compat": ("exact", "official"),
    "init": ("random", "demonstrations"),
}


@dataclass
class PairsConfig(PeftConfig):
    """Which attention modules get virtual pairs: what every method of this kind has, HiFICL and MimIC.

    A method derives from it as a dataclass, sets ``kind``, writes :meth:`pairs`, and is :func:`registered`.

    Args:
        cross_attention: Adapt cross-attention modules of the text decoder as well.
        target_modules: Which attention modules, as PEFT writes it: a regular expression or a list of name endings. None
            (default): every self-attention module of the text decoder, found by structure.
        exclude_modules: Modules to leave out, written likewise.
        layers_to_transform: Indices of the layers to adapt; all by default.
        layers_pattern: Name of the list that holds the layers, where ``layers_to_transform`` needs it.
        modules_to_save: Further modules to train and store whole, as in PEFT.
    """

    kind: ClassVar[HiFICLPeftType]
    """The ``peft_type`` of the method."""
    no_prefix: ClassVar[str | None] = None
    """Why no key-value prefix can express what the method does; None where some adapters have one."""

    cross_attention: bool = field(default=False, metadata={"help": "adapt cross-attention as well"})
    target_modules: list[str] | str | None = field(default=None, metadata={"help": "None: by structure"})
    exclude_modules: list[str] | str | None = field(default=None, metadata={"help": "modules to leave out"})
    layers_to_transform: list[int] | int | None = field(default=None, metadata={"help": "layer indices"})
    layers_pattern: list[str] | str | None = field(default=None, metadata={"help": "name of the layer list"})
    modules_to_save: list[str] | None = field(default=None, metadata={"help": "modules to train whole"})

    def __post_init__(self) -> None:
        """Bring the fields into the form in which PEFT reads them."""
        super().__post_init__()
        self.peft_type: Any = self.kind
        for name in ("target_modules", "exclude_modules"):
            if isinstance(getattr(self, name), list):
                setattr(self, name, set(getattr(self, name)))

    def check_choices(self, choices: Mapping[str, tuple[str, ...]]) -> None:
        """Refuse fields that are none of their choices.

        Raises:
            InputError: The first such field, its value and the choices.
        """
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                shown = " or ".join(map(repr, allowed))
                raise InputError(f"{type(self).__name__}: {name}={getattr(self, name)!r} is unknown; choose {shown}")

    def pairs(self, site: Site) -> nn.Module:
        """Return the module that makes the pairs of an attention module, with their initial values.

        Called with the factor on the scores, it gives :class:`hificl.tuner.pairs.Pairs`.
        """
        raise TypeError(f"{type(self).__name__} defines no pairs(site)")


@registered
@dataclass
class HiFICLConfig(PairsConfig):
    """Learn ``num_virtual_tokens`` key-value pairs per layer and head that join the softmax of the attention.

    With L layers, H query heads and head size d, the default trains ``2 L H r (n + d)`` parameters: key and value pairs
    are products of factors, ``A [n, r] @ B [r, d]``. A starts normal, B of the keys at 0.01 normal, B of the values at
    zero.

    Args:
        num_virtual_tokens: Pairs per layer and head, n; 0 gives the frozen model.
        r: Rank of the factors. With ``r >= n`` the pairs are not constrained; the factors then only precondition.
        share: ``"query"``: pairs per query head, as published. ``"kv"``: per key-value head, repeated to the query
            heads that share it; g times fewer parameters, and exactly a key-value prefix without positions.
        factorize_key: Learn the keys as a product of factors; False: directly, starting at 0.01 normal.
        factorize_value: Likewise for the values; False: directly, starting at zero.
        mixing: ``"softmax"``: one softmax over virtual and real keys. ``"additive"``: the output on real keys is not
            scaled down by its share of the mass (the paper's "alpha = 1" ablation).
        init_score_offset: Number subtracted from the scores of the virtual keys. 0 as published; 10 all but hides them
            at the start, so that training begins at the frozen model.
        learn_score_offset: Learn the offset, one number per pair (L H n more parameters), instead of a constant.
        learn_temperature: Learn a temperature per head, by which the scores of its virtual keys are divided (L H more
            parameters): one step then makes all of them sharper or flatter. It starts at 1.
        init_key_scale: Spread of B of the keys, or of the keys themselves, at a random start.
        pair_dropout: Probability with which, in training, a pair of a head is away for a micro batch. The others count
            for it, so that the mass of all is what it is in evaluation, on average.
        compat: ``"exact"``: masks count in the real mass. ``"official"``: the real mass is taken over all keys, later
            and padded ones included, as the authors' published code does. For parity experiments only: a later token
            then changes earlier outputs, and cached decoding differs from a full forward.
        init: ``"random"``: as published. ``"demonstrations"``: ``hificl.train`` captures real demonstrations in the
            frozen model, compresses them to the pairs of the adapter and starts there; outside of it call
            :func:`hificl.initialise_from_demonstrations`. Give it ``learn_score_offset=True``: one pair then stands for
            as much attention as the tokens that it replaces.
        init_shots: Demonstrations of one capture.
        init_captures: Captures whose pairs are joined before they are compressed, each of other demonstrations.
        init_weights: False starts from small random values instead of zeros, so that tests see an effect.

    The other fields are those of :class:`PairsConfig`.

    Raises:
        InputError: A number is negative or not an integer, or a choice is unknown.

    Source:
        HiFICL, arXiv:2603.12760; initial values from the authors' published code.
    """

    kind: ClassVar[HiFICLPeftType] = HiFICLPeftType.HIFICL

    num_virtual_tokens: int = field(default=8, metadata={"help": "pairs per layer and head"})
    r: int = field(default=8, metadata={"help": "rank of the factors of keys and values"})
    share: str = field(default="query", metadata={"help": "pairs per 'query' head or per 'kv' head"})
    factorize_key: bool = field(default=True, metadata={"help": "learn keys as a product of factors"})
    factorize_value: bool = field(default=True, metadata={"help": "learn values as a product of factors"})
    mixing: str = field(default="softmax", metadata={"help": "'softmax' or 'additive' (ablation)"})
    init_score_offset: float = field(default=0.0, metadata={"help": "subtracted from the virtual scores"})
    learn_score_offset: bool = field(default=False, metadata={"help": "learn the offset, one per pair"})
    learn_temperature: bool = field(default=False, metadata={"help": "learn a temperature per head"})
    init_key_scale: float = field(default=0.01, metadata={"help": "spread of the keys at a random start"})
    pair_dropout: float = field(default=0.0, metadata={"help": "share of the pairs that training leaves out"})
    compat: str = field(default="exact", metadata={"help": "'exact' or 'official' (parity experiments)"})
    init: str = field(default="random", metadata={"help": "'random' or 'demonstrations'"})
    init_shots: int = field(default=8, metadata={"help": "demonstrations of one capture"})
    init_captures: int = field(default=1, metadata={"help": "captures that are joined"})
    init_weights: bool = field(default=True, metadata={"help": "False: random values, for tests"})

    def __post_init__(self) -> None:
        """Refuse what no adapter can have."""
        super().__post_init__()
        for name in ("num_virtual_tokens", "r"):
            number = getattr(self, name)
            if isinstance(number, bool) or not isinstance(number, int) or number < 0:
                raise InputError(f"HiFICLConfig: {name}={number!r} must be an integer that is not negative, such as 8")
        offset = self.init_score_offset
        if isinstance(offset, bool) or not isinstance(offset, int | float) or math.isnan(offset) or offset == -math.inf:
            raise InputError(f"HiFICLConfig: init_score_offset={offset!r} must be a number, such as 0.0")
        for name in ("init_shots", "init_captures"):
            number = getattr(self, name)
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise InputError(f"HiFICLConfig: {name}={number!r} must be an integer of at least 1")
        self._check_number("init_key_scale", self.init_key_scale, "above 0, such as 0.01", lambda value: value > 0)
        self._check_number("pair_dropout", self.pair_dropout, "a share from 0 to below 1", lambda value: 0 <= value < 1)
        self.check_choices(CHOICES)
        if self.pair_dropout and (self.mixing != "softmax" or self.compat != "exact"):
            raise InputError(
                "HiFICLConfig: pair_dropout leaves the mass of a pair to one softmax over pairs and real keys; leave "
                "mixing='softmax' and compat='exact'"
            )
        if self.init == "demonstrations" and (self.mixing != "softmax" or self.compat != "exact"):
            raise InputError(
                "HiFICLConfig: init='demonstrations' takes pairs from one softmax over demonstrations and query; leave "
                "mixing='softmax' and compat='exact'"
            )

    def _check_number(self, name: str, value: object, wanted: str, good: Callable[[float], bool]) -> None:
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not (number and good(value)):  # type: ignore[arg-type]
            raise InputError(f"HiFICLConfig: {name}={value!r} must be {wanted}")

    def pairs(self, site: Site) -> nn.Module:
        """Return the pairs of one attention module."""
        return VirtualPairs(site, self)
