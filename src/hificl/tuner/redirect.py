"""The one place that touches how somebody else's module computes attention.

Each adapted module sees its own config through a view that differs in one attribute: the name of the attention
implementation. The model's config stays as it is, so masks, caches, generation and quantisers notice nothing.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, AttentionInterface

from hificl.errors import InputError
from hificl.tuner.attend import attend

NAME = "hificl"
SIDECAR = "virtual_kv"  # must not contain the method's prefix: PEFT's delete_adapter skips modules below such a name


class ConfigView:
    """What one attention module sees as its config: the live config, but with our implementation name."""

    _attn_implementation = NAME

    def __init__(self, config: Any) -> None:
        object.__setattr__(self, "hificl_base_config", config)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "hificl_base_config"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.hificl_base_config, name, value)

    def __deepcopy__(self, memo: dict[int, Any]) -> ConfigView:
        return ConfigView(copy.deepcopy(self.hificl_base_config, memo))

    def __reduce__(self) -> tuple[type[ConfigView], tuple[Any]]:
        return ConfigView, (self.hificl_base_config,)


class ModuleView:
    """What a base attention function sees as its module: the module with its real config, and what is overridden."""

    def __init__(self, module: nn.Module, **overrides: Any) -> None:
        self._module = module
        self.__dict__.update(overrides)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_module"], name)


def install(module: nn.Module, sidecar: nn.Module) -> None:
    """Put a sidecar on an attention module and redirect its attention."""
    module.add_module(SIDECAR, sidecar)
    module.config = ConfigView(module.config)  # type: ignore[assignment]


def remove(module: nn.Module) -> None:
    """Undo :func:`install`."""
    delattr(module, SIDECAR)
    module.config = module.config.hificl_base_config  # type: ignore[union-attr, assignment]


def base_function(module: nn.Module, implementation: str | None) -> Callable[..., tuple[Tensor, Tensor | None]]:
    """Return the attention function that the module would have called; "eager" lives in the module's own file."""
    if implementation in (None, "eager"):
        return sys.modules[type(module).__module__].eager_attention_forward
    return ALL_ATTENTION_FUNCTIONS[implementation]


def redirected_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **keywords: Any
) -> tuple[Tensor, Tensor | None]:
    """Attend with the active virtual pairs, or call the base function untouched where there are none.

    The signature is that of transformers' attention functions.

    Raises:
        InputError: The base implementation has no path for virtual pairs, or the module hands over other head counts or
            sizes than its attributes told; the message names the module.
    """
    config: Any = module.config.hificl_base_config  # type: ignore[union-attr]
    implementation = config._attn_implementation
    function = base_function(module, implementation)
    layer = getattr(module, SIDECAR)
    pairs = layer(query.shape[0])
    if pairs is None:
        return function(ModuleView(module, config=config), query, key, value, attention_mask, **keywords)
    site = layer.site
    seen = (query.shape[1], query.shape[3], value.shape[3])
    if seen != (site.heads, site.head_dim, site.value_dim):
        told = (site.heads, site.head_dim, site.value_dim)
        raise InputError(
            f"{site.name}: attention runs with (heads, head_dim, value_dim) = {seen}, but the module's attributes and "
            f"config tell {told}; leave it out with exclude_modules"
        )
    if implementation not in (None, "eager", "sdpa"):
        raise InputError(
            f"{site.name}: virtual pairs cannot join attn_implementation={implementation!r}; call "
            'model.set_attn_implementation("sdpa"), and for continuous batching set auto_switch_to_flash=False'
        )
    cache = keywords.pop("cache", None)  # paged: written here, before any pair could get into its pages
    if cache is not None:
        key, value = cache.update(
            key_states=key, value_states=value, layer_idx=getattr(module, "layer_idx", None), kwargs=keywords
        )
    view = ModuleView(module, config=config, num_key_value_groups=1, site=site.name)
    eager = implementation in (None, "eager")
    return attend(function, view, pairs, query, key, value, attention_mask, keywords, eager=eager)


AttentionInterface.register(NAME, redirected_attention)
