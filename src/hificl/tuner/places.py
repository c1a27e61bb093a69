"""Where methods act in a text decoder, found by structure: four sites in every layer with self-attention."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from hificl.errors import InputError
from hificl.tuner.sidecar import Sidecar
from hificl.tuner.sites import calls_attention_interface, find_sites, live_config

SITES = ("head_output", "attention_output", "mlp_output", "residual")
"""The vocabulary, in the order in which a layer computes them.

``head_output``: what attention returns for every head, [batch queries heads head_dim], before the output projection.
``attention_output``: what the attention module returns, [batch queries hidden]. ``mlp_output``: what the feed-forward
part of the layer returns, [batch queries hidden]. ``residual``: what the layer returns, [batch queries hidden].

What a model does to an output before it projects or adds it (a gate, a norm, a factor) comes after the site.
"""


@dataclass(frozen=True)
class Place:
    """One site of one layer, with the sizes of its activation."""

    site: str
    """One of :data:`SITES`."""
    layer: int
    """Counted from 0 over the layers with self-attention, in order."""
    name: str
    """Qualified name, in the model, of the module whose output it is; for ``head_output`` the attention module."""
    hidden: int
    heads: int
    """Query heads."""
    head_dim: int
    """Size of one head's output: that of the values, where keys have another."""


def find_places(model: nn.Module, site: str) -> list[Place]:
    """Find the places of a site, layer by layer.

    Args:
        model: A transformers model, text-only or multimodal, with or without adapters. Only layers of the text decoder
            that attend to their own sequence count: not vision towers, connectors or cross attention.
        site: One of :data:`SITES`.

    Returns:
        One place per layer, in the order of the layers.

    Raises:
        InputError: The site is unknown, there is no self-attention, or a layer has no feed-forward part of its own; the
            message names the module.
    """
    if site not in SITES:
        raise InputError(f"site={site!r} is unknown; choose {', '.join(map(repr, SITES))}")
    found = [attention for attention in find_sites(model).values() if not attention.is_cross_attention]
    if not found:
        raise InputError(f"{type(model).__name__}: its text decoder has cross attention only; there is nowhere to act")
    places = []
    for layer, attention in enumerate(found):
        name = attention.name
        if site in ("mlp_output", "residual"):
            name, feed_forward = _layer(model, attention.name)
            name = f"{name}.{feed_forward}" if site == "mlp_output" else name
        hidden = _hidden_size(model, attention.name)
        places.append(Place(site, layer, name, hidden, attention.heads, attention.value_dim))
    return places


def _layer(model: nn.Module, attention: str) -> tuple[str, str]:
    """Return the name of the layer that an attention module belongs to, and that of its feed-forward child.

    The layer is the nearest module above the attention that stands in a list and has a feed-forward child.
    """
    name = attention
    while name:
        parent = name.rpartition(".")[0]
        child = _feed_forward(model.get_submodule(name))
        if child is not None and isinstance(model.get_submodule(parent), nn.ModuleList):
            return name, child
        name = parent
    raise InputError(
        f"{attention} ({type(model.get_submodule(attention)).__name__}): no layer above it has a feed-forward part "
        "beside its attention, so 'mlp_output' and 'residual' cannot be told; act at 'attention_output'"
    )


def _feed_forward(layer: nn.Module) -> str | None:
    """Return the last child, as registered, that holds matrices and no attention. A list of modules has no output."""
    found = None
    for name, child in layer.named_children():
        if isinstance(child, Sidecar | nn.ModuleList) or any(map(calls_attention_interface, child.modules())):
            continue
        if any(tensor.dim() >= 2 for tensor in (*child.parameters(), *child.buffers())):
            found = name
    return found


def _hidden_size(model: nn.Module, attention: str) -> int:
    hidden = getattr(live_config(model.get_submodule(attention)), "hidden_size", None)
    if hidden is None:
        raise InputError(f"{attention}: its config tells no hidden_size, so its activations cannot be replaced")
    return int(hidden)
