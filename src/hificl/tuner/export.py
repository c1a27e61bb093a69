"""Hand an adapter to those who cannot run it: as a PEFT prefix, where a prefix can express it exactly."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from hificl.errors import InputError
from hificl.tuner.config import PairsConfig
from hificl.tuner.intervention import InterventionConfig
from hificl.tuner.layer import HiFICLLayer
from hificl.tuner.pairs import Pairs, all_pairs
from hificl.tuner.redirect import SIDECAR
from hificl.tuner.sites import live_config, text_decoder

WEIGHTS = "adapter_model.safetensors"


def method_refusal(config: Any) -> str | None:
    """Say why no adapter of a method can be a key-value prefix, or None if some can."""
    kind = getattr(config.peft_type, "value", config.peft_type)
    if isinstance(config, PairsConfig):
        return config.no_prefix
    if isinstance(config, InterventionConfig):
        return f"a {kind} adapter changes activations and has no keys and values"
    return f"a {kind} adapter of PEFT's own has no virtual pairs"


def prefix_refusal(layer: HiFICLLayer, pairs: Pairs, share: str) -> str | None:
    """Say why a key-value prefix cannot express these pairs, or None if it can."""
    site = layer.site
    if site.is_cross_attention:
        return f"{site.name} is cross-attention, which has no key-value cache of its own"
    if pairs.additive or pairs.unmasked_mass:
        return "a prefix is one joint softmax, so mixing='additive' and compat='official' have no prefix"
    if pairs.query_gain is not None:
        return "the values of a prefix do not depend on the query"
    is_shared = site.heads == site.kv_heads or share == "kv"
    if isinstance(pairs.score_offset, Tensor) or pairs.score_offset != 0.0:
        remedy = "recipe='plain'" + ("" if is_shared else " and share='kv'")
        return f"a prefix has no score offsets. Train with {remedy} for an adapter to export"
    if not is_shared:
        return (
            f"{site.name} has {site.heads} query heads on {site.kv_heads} key-value heads and its pairs are per "
            "query head; a prefix has one pair per key-value head. Train with share='kv' for an adapter to export"
        )
    return None


def rotate(key: Tensor, shift: int, layer: HiFICLLayer, attention: nn.Module, decoder: nn.Module) -> Tensor:
    """Rotate keys [kv_heads virtual head_dim] by ``shift`` positions, as the attention module's own file rotates.

    A prefix takes the first positions, which moves every query by the number of pairs; rotating the keys by as much
    keeps all scores. Keys of a model without rotary embedding are returned as they are.

    Raises:
        InputError: The rotation is not one of plain positions, or cannot be told; the message names the module.
    """
    embedding: Any = getattr(decoder, "rotary_emb", None)
    if embedding is None:
        return key
    apply = getattr(sys.modules[type(attention).__module__], "apply_rotary_pos_emb", None)
    place = torch.tensor([[shift]], device=key.device)
    try:
        cosine, sine = embedding(key, place)
        scaling = float(getattr(embedding, "attention_scaling", 1.0) or 1.0)
        cosine, sine = cosine / scaling, sine / scaling  # YaRN scales queries and keys; a virtual key has no such scale
        size = cosine.shape[-1]
        turned = apply(key[None, ..., :size], key[None, ..., :size], cosine, sine)[1][0]  # type: ignore[misc]
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise InputError(
            f"cannot export to a prefix: the rotation of {layer.site.name} is not one of plain positions ({error})"
        ) from error
    rotated = torch.cat([turned, key[..., size:]], dim=-1)
    lengths = key.norm(dim=-1), rotated.norm(dim=-1)
    if rotated.shape != key.shape or not torch.allclose(*lengths, rtol=1e-4):
        raise InputError(f"cannot export to a prefix: the rotation of {layer.site.name} changes the length of keys")
    return rotated


def prefix_tensor(model: nn.Module, adapter_name: str = "default") -> Tensor:
    """Turn an adapter into the tensor of a PEFT prefix.

    Args:
        model: A PEFT model with a HiFICL adapter.
        adapter_name: Which one.

    Returns:
        PEFT's ``prompt_embeddings``, [virtual, layers 2 kv_heads head_dim] float32, keys rotated (:func:`rotate`).

    Raises:
        InputError: No prefix expresses this adapter exactly; the message gives the reason.
    """
    config: Any = model.peft_config[adapter_name]  # type: ignore[union-attr, index]
    reason = method_refusal(config)
    if reason:
        raise InputError(
            f"cannot export to a prefix: {reason}. Keep this adapter and load it with hificl, or train "
            "method='prefix_tuning' for one to export"
        )
    base = model.get_base_model() if hasattr(model, "get_base_model") else model  # type: ignore[operator]
    decoder = text_decoder(base)
    found = [(part, getattr(part, SIDECAR)) for part in decoder.modules() if SIDECAR in part._modules]
    layers = [(attention, layer) for attention, layer in found if adapter_name in layer.hificl_kv]
    depth = live_config(decoder).num_hidden_layers
    if len(layers) != depth:
        raise InputError(f"the adapter has pairs in {len(layers)} of {depth} layers; a prefix needs them in all")
    rows = []
    for attention, layer in layers:
        with all_pairs(layer.hificl_kv[adapter_name]):
            pairs: Pairs = layer.hificl_kv[adapter_name]()
        refusal = prefix_refusal(layer, pairs, getattr(config, "share", "query"))
        if refusal:
            raise InputError(f"cannot export to a prefix: {refusal}")
        groups = layer.site.heads // layer.site.kv_heads
        key, value = pairs.key.detach()[::groups].float(), pairs.value.detach()[::groups].float()
        if key.shape[-1] != value.shape[-1]:
            raise InputError(f"cannot export to a prefix: {layer.site.name} has values of another size than its keys")
        rows += [rotate(key, config.num_virtual_tokens, layer, attention, decoder), value]
    return torch.stack(rows).permute(2, 0, 1, 3).flatten(1).contiguous()


def export_prefix(model: nn.Module, output: Path | str, adapter_name: str = "default") -> dict[str, Any]:
    """Write an adapter as a PEFT prefix-tuning adapter that gives the same outputs.

    Args:
        model: A PEFT model with a HiFICL adapter.
        output: Folder to write ``adapter_config.json`` and ``adapter_model.safetensors`` to; it is made.
        adapter_name: Which adapter.

    Returns:
        What was written: ``format``, ``num_virtual_tokens``, ``layers``, ``kv_heads``, ``head_dim``, ``path``.

    Raises:
        InputError: See :func:`prefix_tensor`; nothing is written then.
    """
    from peft import PrefixTuningConfig

    prefix = prefix_tensor(model, adapter_name)
    told: Any = model.peft_config[adapter_name]  # type: ignore[union-attr, index]
    site = next(module.site for module in model.modules() if isinstance(module, HiFICLLayer))
    decoder = text_decoder(model.get_base_model())  # type: ignore[operator]
    depth = live_config(decoder).num_hidden_layers
    config = PrefixTuningConfig(
        task_type=told.task_type or "CAUSAL_LM",
        num_virtual_tokens=told.num_virtual_tokens,
        num_layers=depth,
        token_dim=site.kv_heads * site.head_dim,
        num_attention_heads=site.kv_heads,
        num_transformer_submodules=1,
        base_model_name_or_path=told.base_model_name_or_path,
        inference_mode=True,
    )
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as unfinished:
        save_file({"prompt_embeddings": prefix}, Path(unfinished, WEIGHTS), metadata={"format": "pt"})
        config.save_pretrained(unfinished)
        for name in (WEIGHTS, "adapter_config.json"):  # the config last: without it there is no adapter
            os.replace(Path(unfinished, name), folder / name)
    return {
        "format": "peft-prefix",
        "num_virtual_tokens": told.num_virtual_tokens,
        "layers": depth,
        "kv_heads": site.kv_heads,
        "head_dim": site.head_dim,
        "path": str(folder),
    }
