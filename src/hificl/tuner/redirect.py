"""The one place that touches how somebody else's module computes attention.

Each redirected module sees its own config through a view that differs in one attribute: the name of the attention
implementation. The model's config stays as it is, so masks, caches, generation and quantisers notice nothing.
Virtual pairs join the attention, then functions see what it returns for every head. Either alone is enough for a view.
"""

from __future__ import annotations

import copy
import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, AttentionInterface

from hificl.errors import InputError
from hificl.tuner.attend import AttentionFunction, attend
from hificl.tuner.flash import FLASH, USE_SDPA, attend_as_flash
from hificl.tuner.flex import FLEX, attend_as_flex
from hificl.tuner.pairs import Pairs
from hificl.tuner.seen import Seen, is_causal
from hificl.tuner.sites import reads_implementation

NAME = "hificl"
SIDECAR = "virtual_kv"  # must not contain the method's prefix: PEFT's delete_adapter skips modules below such a name


Function = Callable[[nn.Module, Tensor], Tensor | None]
"""Gets a module and its activation; returns what to go on with, or None for the activation itself."""


class ConfigView:
    """What one attention module sees as its config: the live config, but with our implementation name.

    It also holds the functions that see the outputs of the heads, in order.
    """

    _attn_implementation = NAME
    hificl_functions: OrderedDict[int, Function]

    def __init__(self, config: Any) -> None:
        object.__setattr__(self, "hificl_base_config", config)
        object.__setattr__(self, "hificl_functions", OrderedDict())

    def __getattr__(self, name: str) -> Any:
        if name == "hificl_base_config":  # a copy in the making
            raise AttributeError(name)
        return getattr(self.hificl_base_config, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.hificl_base_config, name, value)

    def __deepcopy__(self, memo: dict[int, Any]) -> ConfigView:
        view = ConfigView(copy.deepcopy(self.hificl_base_config, memo))
        object.__setattr__(view, "hificl_functions", copy.deepcopy(self.hificl_functions, memo))
        return view

    def __reduce__(self) -> tuple[type[ConfigView], tuple[Any]]:
        return ConfigView, (self.hificl_base_config,)


class ModuleView:
    """What a base attention function sees as its module: the module with its real config, and what is overridden."""

    def __init__(self, module: nn.Module, **overrides: Any) -> None:
        self._module = module
        self.__dict__.update(overrides)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_module"], name)


def redirect(module: nn.Module) -> ConfigView:
    """Redirect the attention of a module, if it is not yet; returns the view through which it sees its config."""
    config: Any = module.config
    if not isinstance(config, ConfigView):
        config = ConfigView(config)
        module.config = config
    return config


def release(module: nn.Module) -> None:
    """Give a module its config back if nothing needs the view any more: neither pairs nor functions."""
    config: Any = getattr(module, "config", None)
    if isinstance(config, ConfigView) and SIDECAR not in module._modules and not config.hificl_functions:
        module.config = config.hificl_base_config


def add_function(name: str, module: nn.Module, function: Function) -> RemovableHandle:
    """Let a function see what the attention of a module returns, [batch queries heads value_dim].

    Returns:
        A handle; after its ``remove()``, call :func:`release`.

    Raises:
        InputError: The module, called ``name`` in the message, cannot be redirected.
    """
    if reads_implementation(module):
        raise InputError(
            f"{name} ({type(module).__name__}) computes differently by the name of its attention implementation, which "
            "a function at 'head_output' changes; act at another site, such as 'attention_output'"
        )
    functions = redirect(module).hificl_functions
    handle = RemovableHandle(functions)
    functions[handle.id] = function
    return handle


def base_function(module: nn.Module, implementation: str | None) -> AttentionFunction:
    """Return the attention function that the module would have called; "eager" lives in the module's own file."""
    if implementation in (None, "eager"):
        return sys.modules[type(module).__module__].eager_attention_forward
    return ALL_ATTENTION_FUNCTIONS[implementation]


def redirected_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **keywords: Any
) -> tuple[Tensor, Tensor | None]:
    """Attend with the active virtual pairs, or call the base function untouched where there are none.

    The signature is that of transformers' attention functions. The functions on the module then see the outputs.

    Raises:
        InputError: The base implementation has no path for virtual pairs, or the module hands over other head counts or
            sizes than its attributes told; the message names the module.
    """
    view: Any = module.config
    config = view.hificl_base_config
    layer = module._modules.get(SIDECAR)
    pairs = None if layer is None else _pairs(layer, query, key, keywords.get("scaling"))
    if pairs is None:
        function = base_function(module, config._attn_implementation)
        output, weights = function(ModuleView(module, config=config), query, key, value, attention_mask, **keywords)
    else:
        output, weights = _with_pairs(module, config, pairs, query, key, value, attention_mask, keywords)
    for act in tuple(view.hificl_functions.values()):
        changed = act(module, output)
        output = output if changed is None else changed
    return output, weights


def _pairs(layer: nn.Module, query: Tensor, key: Tensor, scale: float | None) -> Pairs | None:
    batch, _, queries, head_dim = query.shape
    found: Pairs | None = layer(
        batch, head_dim**-0.5 if scale is None else scale, is_step=queries == 1 and key.shape[2] > 1
    )
    return found


def _with_pairs(
    module: nn.Module,
    config: Any,
    pairs: Pairs,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    keywords: dict[str, Any],
) -> tuple[Tensor, Tensor | None]:
    implementation = config._attn_implementation
    site = getattr(module, SIDECAR).site
    sizes, told = (query.shape[1], query.shape[3], value.shape[3]), (site.heads, site.head_dim, site.value_dim)
    if sizes != told:
        raise InputError(
            f"{site.name}: attention runs with (heads, head_dim, value_dim) = {sizes}, but the module's attributes and "
            f"config tell {told}; leave it out with exclude_modules"
        )
    view = ModuleView(module, config=config, num_key_value_groups=1, site=site.name)
    if implementation in (*FLASH, FLEX):
        attend_as = attend_as_flex if implementation == FLEX else attend_as_flash
        eager = base_function(module, "eager")
        return attend_as(eager, view, pairs, query, key, value, attention_mask, keywords), None
    if implementation not in (None, "eager", "sdpa"):
        raise InputError(f"{site.name}: virtual pairs cannot join attn_implementation={implementation!r}; {USE_SDPA}")
    cache = keywords.pop("cache", None)  # paged: written here, before any pair could get into its pages
    if cache is not None:
        key, value = cache.update(
            key_states=key, value_states=value, layer_idx=getattr(module, "layer_idx", None), kwargs=keywords
        )
    function = base_function(module, implementation)
    if implementation == "sdpa":
        return _as_sdpa(function, view, pairs, query, key, value, attention_mask, keywords)
    reason = "eager attention was chosen"
    return attend(function, view, pairs, query, key, value, Seen(attention_mask), keywords, eager=reason)


def _as_sdpa(
    function: AttentionFunction,
    view: ModuleView,
    pairs: Pairs,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    keywords: dict[str, Any],
) -> tuple[Tensor, Tensor | None]:
    """Without a mask, as in transformers, keys beyond the queries are unused slots of a static cache."""
    queries = query.shape[2]
    causal = mask is None and queries > 1 and is_causal(view, keywords)
    if causal:
        key, value = key[:, :, :queries], value[:, :, :queries]
    return attend(function, view, pairs, query, key, value, Seen(mask, causal), keywords)


AttentionInterface.register(NAME, redirected_attention)
