"""The options of an adapter, as a PEFT config."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field
from typing import Any

from peft.config import PeftConfig

from hificl.errors import InputError


class HiFICLPeftType(str, enum.Enum):  # noqa: UP042  (PEFT compares and hashes it as its value)
    """Our own one-member enum: PEFT's is closed, its tables are open and look strings up by value."""

    HIFICL = "HIFICL"


CHOICES = {"share": ("query", "kv"), "mixing": ("softmax", "additive"), "compat": ("exact", "official")}


@dataclass
class HiFICLConfig(PeftConfig):
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
        compat: ``"exact"``: masks count in the real mass. ``"official"``: the real mass is taken over all keys, later
            and padded ones included, as the authors' published code does. For parity experiments only: a later token
            then changes earlier outputs, and cached decoding differs from a full forward.
        cross_attention: Adapt cross-attention modules of the text decoder as well.
        target_modules: Which attention modules, as PEFT writes it: a regular expression or a list of name endings. None
            (default): every self-attention module of the text decoder, found by structure.
        exclude_modules: Modules to leave out, written likewise.
        layers_to_transform: Indices of the layers to adapt; all by default.
        layers_pattern: Name of the list that holds the layers, where ``layers_to_transform`` needs it.
        modules_to_save: Further modules to train and store whole, as in PEFT.
        init_weights: False starts from small random values instead of zeros, so that tests see an effect.

    Raises:
        InputError: A number is negative or not an integer, or a choice is unknown.

    Source:
        HiFICL, arXiv:2603.12760; initial values from the authors' published code.
    """

    num_virtual_tokens: int = field(default=8, metadata={"help": "pairs per layer and head"})
    r: int = field(default=8, metadata={"help": "rank of the factors of keys and values"})
    share: str = field(default="query", metadata={"help": "pairs per 'query' head or per 'kv' head"})
    factorize_key: bool = field(default=True, metadata={"help": "learn keys as a product of factors"})
    factorize_value: bool = field(default=True, metadata={"help": "learn values as a product of factors"})
    mixing: str = field(default="softmax", metadata={"help": "'softmax' or 'additive' (ablation)"})
    init_score_offset: float = field(default=0.0, metadata={"help": "subtracted from the virtual scores"})
    learn_score_offset: bool = field(default=False, metadata={"help": "learn the offset, one per pair"})
    compat: str = field(default="exact", metadata={"help": "'exact' or 'official' (parity experiments)"})
    cross_attention: bool = field(default=False, metadata={"help": "adapt cross-attention as well"})
    target_modules: list[str] | str | None = field(default=None, metadata={"help": "None: by structure"})
    exclude_modules: list[str] | str | None = field(default=None, metadata={"help": "modules to leave out"})
    layers_to_transform: list[int] | int | None = field(default=None, metadata={"help": "layer indices"})
    layers_pattern: list[str] | str | None = field(default=None, metadata={"help": "name of the layer list"})
    modules_to_save: list[str] | None = field(default=None, metadata={"help": "modules to train whole"})
    init_weights: bool = field(default=True, metadata={"help": "False: random values, for tests"})

    def __post_init__(self) -> None:
        """Refuse what no adapter can have."""
        super().__post_init__()
        self.peft_type: Any = HiFICLPeftType.HIFICL
        for name in ("num_virtual_tokens", "r"):
            number = getattr(self, name)
            if isinstance(number, bool) or not isinstance(number, int) or number < 0:
                raise InputError(f"HiFICLConfig: {name}={number!r} must be an integer that is not negative, such as 8")
        offset = self.init_score_offset
        if isinstance(offset, bool) or not isinstance(offset, int | float) or math.isnan(offset) or offset == -math.inf:
            raise InputError(f"HiFICLConfig: init_score_offset={offset!r} must be a number, such as 0.0")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                shown = " or ".join(map(repr, choices))
                raise InputError(f"HiFICLConfig: {name}={getattr(self, name)!r} is unknown; choose {shown}")
        for name in ("target_modules", "exclude_modules"):
            if isinstance(getattr(self, name), list):
                setattr(self, name, set(getattr(self, name)))
