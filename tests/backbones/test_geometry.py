"""The published sizes, built without weights."""

from __future__ import annotations

import pytest

from hificl.backbones import BACKBONES, build_on_meta
from hificl.errors import InputError


@pytest.mark.parametrize(
    "name, layers, heads, kv_heads, head_dim, billions",
    [
        ("idefics", 32, 32, 32, 128, 8.93),
        ("idefics2", 32, 32, 8, 128, 8.40),
        ("llava-interleave", 32, 32, 32, 128, 8.14),
        ("qwen3-vl", 36, 32, 8, 128, 8.77),
        ("smollm2", 30, 9, 3, 64, 0.13),
        ("smolvlm", 30, 9, 3, 64, 0.26),
    ],
)
def test_geometry_is_that_of_the_published_model(
    name: str, layers: int, heads: int, kv_heads: int, head_dim: int, billions: float
) -> None:
    model = build_on_meta(BACKBONES[name])
    config = model.config.get_text_config(decoder=True)
    attention = [
        module
        for path, module in model.named_modules()
        if hasattr(module, "k_proj") and "vision" not in path and "perceiver" not in path and "cross" not in path
    ]
    assert len(attention) == config.num_hidden_layers == layers
    assert {module.q_proj.out_features for module in attention} == {heads * head_dim}
    assert {module.k_proj.out_features for module in attention} == {kv_heads * head_dim}
    assert round(sum(parameter.numel() for parameter in model.parameters()) / 1e9, 2) == billions
    assert all(parameter.is_meta and not parameter.requires_grad for parameter in model.parameters())


def test_a_family_without_fixed_size_is_refused() -> None:
    with pytest.raises(InputError, match="'embedded' has no fixed geometry"):
        build_on_meta(BACKBONES["embedded"])
