"""Load a frozen backbone from a folder, a GGUF file, a hub id, or a package."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, cast

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    GgufConfig,
    PreTrainedModel,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
)

from hificl.backbones.backbone import Backbone
from hificl.backbones.dtypes import default_dtype, dtype_name
from hificl.backbones.family import Family
from hificl.backbones.folded_head import fold_head
from hificl.backbones.prompts import PromptForm
from hificl.backbones.registry import family_of
from hificl.backbones.source import Source, find_source, read
from hificl.errors import InputError

logger = logging.getLogger(__name__)


def load_backbone(
    name_or_path: str | Path,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    attn_implementation: str | None = None,
) -> Backbone:
    """Load a model with its processor, frozen and in eval mode.

    Args:
        name_or_path: A folder, a file ending in ``.gguf``, a hub id, ``"embedded"`` for the model inside the package,
            or another key of ``BACKBONES``, which stands for the packaged weights or the first hub id of that family.
            Image-text models and causal language models are taken. Weights are read from safetensors or GGUF only,
            code from a checkpoint is never run, nothing is fetched from a registry, and the offline variables of the
            hub are honoured. Weights of a GGUF file are expanded to ``dtype``.
        device: Default: ``"cuda"`` where there is a GPU, else ``"cpu"``.
        dtype: A torch dtype or its name. Default: bfloat16 on a GPU, float32 on the CPU.
        attn_implementation: Passed to transformers; default: its own choice.

    Returns:
        The backbone. Its ``revision`` is the hub's commit, a hash of the folder's files, or that of the GGUF file.

    Raises:
        InputError: a missing folder, no ``config.json``, pickled, missing or truncated weights, an unknown model type,
            a checkpoint that wants to run its own code, a model that is neither image-text nor causal, weights that do
            not fill the model, packaged weights that have not been fetched, a GGUF file without the package ``gguf``,
            or an unknown device or dtype.
    """
    source = find_source(str(name_or_path))
    target = _device(device)
    config = read(lambda: AutoConfig.from_pretrained(source.location, **source.pinned), source.shown, "the config")
    _check_layers(config, source)
    auto_class, reads_images = _auto_class(config, source.shown)
    model = _load_model(auto_class, source, config, _dtype(dtype, target), attn_implementation)
    # Through the base class: transformers wraps `to`, and its wrapper is typed as an unbound function.
    torch.nn.Module.to(model, target)
    model.requires_grad_(False)
    model.eval()
    fold_head(model)
    reader = AutoProcessor if reads_images else AutoTokenizer
    processor = read(lambda: reader.from_pretrained(source.location, **source.pinned), source.shown, "the processor")
    family = family_of(config.to_dict(), _image_mark(processor))
    _apply_image_settings(family, processor)
    return Backbone(model, processor, family, str(name_or_path), source.revision, _prompt(family, processor))


def _device(device: str | torch.device | None) -> torch.device:
    try:
        chosen = torch.device(device if device is not None else "cuda" if torch.cuda.is_available() else "cpu")
    except RuntimeError as error:
        raise InputError(f"device {device!r} is unknown; use 'cpu', 'cuda' or 'cuda:0'.") from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {str(device)!r}: this machine has no usable GPU; use 'cpu'.")
    return chosen


def _dtype(dtype: str | torch.dtype | None, device: torch.device) -> torch.dtype:
    if dtype is None:
        return default_dtype(device)
    chosen = getattr(torch, dtype_name(dtype)) if isinstance(dtype, str) else dtype
    if not isinstance(chosen, torch.dtype) or not chosen.is_floating_point:
        raise InputError(f"dtype {dtype!r} is not a floating dtype; use 'float32', 'bfloat16' or 'float16'.")
    return chosen


def _check_layers(config: Any, source: Source) -> None:
    """A model of more layers than the file has tensors would be built for hours before anything is missed."""
    layers = config.get_text_config(decoder=True).num_hidden_layers
    if source.tensors is not None and layers > source.tensors:
        raise InputError(
            f"{source.shown}: the model has {layers} layers and the file {source.tensors} tensors; copy it again."
        )


def _auto_class(config: Any, source: str) -> tuple[Any, bool]:
    """The class to load with, and whether it reads images."""
    if type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return AutoModelForImageTextToText, True
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
        return AutoModelForCausalLM, False
    raise InputError(
        f"{source}: a {config.model_type!r} model neither reads images and text nor continues text; "
        "use an image-text-to-text or a causal language model."
    )


def _load_model(
    auto_class: Any, source: Source, config: Any, dtype: torch.dtype, attention: str | None
) -> PreTrainedModel:
    options = {**source.pinned, "dtype": dtype, "use_safetensors": True, "output_loading_info": True}
    if attention is not None:
        options["attn_implementation"] = attention
    if source.is_gguf:
        # Plain matrices: the Trainer refuses a model whose blocks stay packed.
        options["quantization_config"] = GgufConfig(dequantize=True)
    model, report = read(
        lambda: auto_class.from_pretrained(source.location, config=config, **options), source.shown, "the weights"
    )
    if missing := sorted(report["missing_keys"]):
        raise InputError(
            f"{source.shown}: the weights lack {len(missing)} tensors of the model, first {missing[0]!r}; "
            "they would be random. Use a complete checkpoint of this model."
        )
    if report["unexpected_keys"]:
        count = len(report["unexpected_keys"])
        logger.warning("%s: %d tensors of the checkpoint have no place in the model", source.shown, count)
    return cast(PreTrainedModel, model)


def _image_mark(processor: Any) -> str | None:
    return getattr(processor, "image_token", None) if hasattr(processor, "image_processor") else None


def _apply_image_settings(family: Family, processor: Any) -> None:
    for name, value in family.image_settings.items():
        if not hasattr(processor.image_processor, name):
            kind = type(processor.image_processor).__name__
            raise InputError(
                f"family {family.name!r}: the image processor {kind} has no setting {name!r}; "
                "the checkpoint's processor is not the one of this family."
            )
        setattr(processor.image_processor, name, value)


def _prompt(family: Family, processor: Any) -> PromptForm:
    """The chat form where the checkpoint has a chat template, else the plain form of the family."""
    if family.prompt.chat and not getattr(processor, "chat_template", None) and family.plain_prompt is not None:
        return family.plain_prompt
    return family.prompt
