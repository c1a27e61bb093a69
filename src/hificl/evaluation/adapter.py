"""Which adapter a model carries, in words of a record, and how such a model is prompted."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

from peft import PeftModel, get_peft_model_state_dict

from hificl.backbones import Backbone


def prompted_for(backbone: Backbone, model: Any) -> Backbone:
    """The backbone as ``model`` is prompted: a published form may keep its instruction for models without adapter."""
    if backbone.prompt.head_in == "frozen" and isinstance(model, PeftModel):
        return replace(backbone, prompt=replace(backbone.prompt, head=""))
    return backbone


def describe_adapter(model: Any) -> list[dict[str, Any]]:
    """Name, PEFT config, content hash and weight of every active adapter; empty for a model without one.

    The hash covers names, shapes, dtypes and bytes of the adapter's tensors, so that two records with the same hash
    were made by the same adapter. The weight, ``set_adapter_weights``, is told where it is not 1.
    """
    if not isinstance(model, PeftModel):
        return []
    weights = getattr(model.base_model, "adapter_weights", {})
    return [
        {
            "name": name, "config": _config(model, name), "hash": _hash(model, name),
            **({"weight": weights[name]} if weights.get(name, 1.0) != 1.0 else {}),
        }
        for name in model.active_adapters
    ]  # fmt: skip


def _config(model: PeftModel, name: str) -> dict[str, Any]:
    values = model.peft_config[name].to_dict()
    plain: dict[str, Any] = json.loads(json.dumps(values, default=_json_value))
    return plain


def _json_value(value: Any) -> Any:
    return sorted(value) if isinstance(value, (set, frozenset)) else str(value)


def _hash(model: PeftModel, name: str) -> str:
    digest = hashlib.sha256()
    state = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    for key, tensor in sorted(state.items()):
        digest.update(f"{key} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        # Numpy has no bfloat16; float32 holds every value of the smaller types.
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
