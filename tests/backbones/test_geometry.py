"""The published sizes, built without weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hificl.backbones import BACKBONES, build_on_meta, read_geometry
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


def test_a_config_alone_is_enough(tmp_path: Path) -> None:
    """As it is published: with keys of other versions, and the code of a repository, which is never run."""
    config = json.loads(json.dumps(BACKBONES["smolvlm"].geometry, default=dict))
    extra = {"architectures": ["Other"], "transformers_version": "4.40.0", "auto_map": {"AutoModel": "evil.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config | extra))
    built, known = build_on_meta(read_geometry(str(tmp_path))), build_on_meta(BACKBONES["smolvlm"])
    assert {name: tensor.shape for name, tensor in built.named_parameters()} == {
        name: tensor.shape for name, tensor in known.named_parameters()
    }
    assert all(parameter.is_meta for parameter in built.parameters())


def test_names_stand_for_their_geometry() -> None:
    assert read_geometry("idefics2") is BACKBONES["idefics2"].geometry
    assert read_geometry("embedded")["model_type"] == "llava"


@pytest.mark.parametrize(
    "config, said",
    [
        (None, "config.json: no such file"),
        ("[3]", "expected a JSON object and found list"),
        ('{"model_type": "idefics22"}', "did you mean 'idefics2'?"),
        ('{"model_type": "own", "auto_map": {}}', "unknown model type 'own'"),
        ('{"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}', "needs code from the checkpoint itself"),
    ],
)
def test_a_folder_without_a_usable_config(tmp_path: Path, config: str | None, said: str) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(InputError, match=said.replace("?", r"\?")):
        read_geometry(str(tmp_path))


def test_a_model_that_writes_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="'siglip_vision_model' neither reads images and text nor continues text"):
        build_on_meta({"model_type": "siglip_vision_model"})
