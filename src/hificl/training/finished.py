"""A run that is done, whether trained or fitted: its adapter folder, then its record; and the size of adapters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from peft import PeftModel, get_peft_model_state_dict
from torch import nn

from hificl import records
from hificl.adapters.stored import first_not_finite, save_adapter
from hificl.backbones import Backbone
from hificl.backbones.image_settings import image_settings
from hificl.errors import RunError
from hificl.training.model_card import model_card
from hificl.training.run_folder import RunFolder


def write_finished(folder: RunFolder, model: PeftModel, backbone: Backbone, record: Mapping[str, Any]) -> None:
    """Write the adapter and then the record, each whole or not at all.

    Raises:
        RunError: One could not be written, or the adapter has a value that is not finite; it names the tensor.
    """
    _check_finite(model, folder)
    base = {
        "name": backbone.name,
        "revision": backbone.revision,
        "prompt": backbone.prompt.to_dict(),
        "image_settings": image_settings(backbone),
    }
    config = record["config"]
    information = {"format": 1, "base": base, "method": config["method"], "task": config["task"]}
    save_adapter(model, folder.adapter, model_card(record, backbone.takes_images), information)
    records.write_json(folder.record, record)


def _check_finite(model: PeftModel, folder: RunFolder) -> None:
    key = first_not_finite(get_peft_model_state_dict(model, save_embedding_layers=False))
    if key is not None:
        raise RunError(
            f"{folder.adapter}: {key} has values that are not finite, so no adapter was written; lower the learning "
            "rate, or compute in another dtype such as float32."
        )


def count_trainable(model: nn.Module) -> int:
    """Return the number of parameters that need a gradient."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def count_stored(model: PeftModel) -> int:
    """Return the number of values in the file of the adapter: parameters and buffers."""
    return sum(tensor.numel() for tensor in get_peft_model_state_dict(model, save_embedding_layers=False).values())
