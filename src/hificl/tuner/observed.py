"""Attention calls of redirected modules, shown to somebody before they are computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, nn
from transformers.modeling_utils import AttentionInterface

from hificl.attention.mass import attention_with_mass
from hificl.errors import InputError
from hificl.tuner.attend import KNOWN
from hificl.tuner.redirect import SIDECAR, redirected_attention
from hificl.tuner.seen import is_causal

NAME = "hificl_observed"
"""The attention implementation that an observed module sees in its view of the config."""

PLAIN = (None, "eager", "sdpa")
"""Attention implementations whose masks are those of queries x keys."""


class AttentionCall(NamedTuple):
    """What a module hands to its attention function: queries and keys after norms and rotary embedding."""

    module: Any
    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    keywords: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The qualified name of the module."""
        return str(self.module._modules[SIDECAR].name)

    @property
    def scale(self) -> float:
        """The factor on the scores."""
        told = self.keywords.get("scaling")
        return self.query.shape[-1] ** -0.5 if told is None else float(told)

    @property
    def is_causal(self) -> bool:
        """Whether nothing but causality says which keys are visible; keys beyond the queries are then unused.

        Raises:
            InputError: The base has an attention implementation whose masks have another form.
        """
        implementation = self.module.config.hificl_base_config._attn_implementation
        if implementation not in PLAIN:
            raise InputError(
                f"{self.name}: attn_implementation={implementation!r}; call model.set_attn_implementation('sdpa')."
            )
        several = self.query.shape[2] > 1
        return implementation == "sdpa" and self.mask is None and several and is_causal(self.module, self.keywords)

    def real_attention(self, *, unmasked: bool = False) -> tuple[Tensor, Tensor]:
        """Attend to the real keys alone; ``unmasked``: to all of them, later and padded ones too.

        Returns:
            Output [batch heads queries value_dim] and log-sum-exp of the scores [batch heads queries].

        Raises:
            InputError: The attention caps or biases its scores, so that it is no plain softmax; or as ``is_causal``.
        """
        causal = self.is_causal
        special = [name for name, told in self.keywords.items() if name not in KNOWN]
        special = [name for name in special if isinstance(self.keywords[name], Tensor) or self.keywords[name]]
        if special:
            raise InputError(f"{self.name}: attention with {', '.join(special)} is no plain softmax over keys.")
        keys = self.query.shape[2] if causal else self.key.shape[2]
        mask = None if self.mask is None or unmasked else self.mask[..., :keys]
        causal = causal and not unmasked
        key, value = self.key[:, :, :keys], self.value[:, :, :keys]
        return attention_with_mass(self.query, key, value, mask, self.scale, is_causal=causal)


See = Callable[[int, AttentionCall], None]
"""Gets the index of the module among the observed ones, and the call."""


@contextmanager
def observed(modules: Sequence[nn.Module], see: See) -> Iterator[None]:
    """Show every attention call of redirected modules in all forwards inside; what they compute stays the same."""
    views: list[Any] = [module.config for module in modules]
    for index, view in enumerate(views):
        # The view hands its attributes to the config behind it; these two are its own.
        object.__setattr__(view, "hificl_see", partial(see, index))
        object.__setattr__(view, "_attn_implementation", NAME)
    try:
        yield
    finally:
        for view in views:
            del view.__dict__["hificl_see"], view.__dict__["_attn_implementation"]


def _observed_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **keywords: Any
) -> tuple[Tensor, Tensor | None]:
    module.config.hificl_see(AttentionCall(module, query, key, value, attention_mask, keywords))
    return redirected_attention(module, query, key, value, attention_mask, **keywords)


AttentionInterface.register(NAME, _observed_attention)
