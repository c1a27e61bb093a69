"""Load a frozen backbone from a folder, a hub id, or the package itself."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    PreTrainedModel,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
)
from transformers.utils.hub import cached_file

from hificl.backbones.backbone import Backbone
from hificl.backbones.checkpoint import check_folder, check_model_type, content_revision
from hificl.backbones.family import Family
from hificl.backbones.prompts import PromptForm
from hificl.backbones.registry import BACKBONES, family_of
from hificl.errors import InputError

logger = logging.getLogger(__name__)

T = TypeVar("T")

EMBEDDED_FOLDER = Path(__file__).resolve().parent.parent / "embedded"

# What transformers raises for a checkpoint that it cannot read; each is turned into an InputError that names it.
_UNREADABLE = (OSError, ValueError, ImportError, RuntimeError, KeyError, TypeError, AttributeError)


def load_backbone(
    name_or_path: str | Path,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    attn_implementation: str | None = None,
) -> Backbone:
    """Load a model with its processor, frozen and in eval mode.

    Args:
        name_or_path: A folder, a hub id, ``"embedded"`` for the model inside the package, or another key of
            ``BACKBONES``, which stands for the first hub id of that family. Weights are read from safetensors only,
            code from a checkpoint is never run, and the offline variables of the hub are honoured.
        device: Default: ``"cuda"`` where there is a GPU, else ``"cpu"``.
        dtype: A torch dtype or its name. Default: bfloat16 on a GPU, float32 on the CPU.
        attn_implementation: Passed to transformers; default: its own choice.

    Returns:
        The backbone. Its ``revision`` is the hub's commit, or a hash of the folder's files.

    Raises:
        InputError: a missing folder, no ``config.json``, pickled, missing or truncated weights, an unknown model type,
            a checkpoint that wants to run its own code, a model that is neither image-text nor causal, weights that do
            not fill the model, or an unknown device or dtype.
    """
    source, folder = _locate(str(name_or_path))
    commit = None if folder is not None else _hub_commit(source)
    # Config, weights and processor of one commit, also when the hub moves on meanwhile.
    pinned = {"trust_remote_code": False} | ({"revision": commit} if commit else {})
    if folder is not None:
        check_model_type(check_folder(folder), list(CONFIG_MAPPING.keys()), str(folder))
    target = _device(device)
    config = _read(lambda: AutoConfig.from_pretrained(source, **pinned), source, "the config")
    auto_class, reads_images = _auto_class(config, source)
    model = _load_model(auto_class, source, _dtype(dtype, target), attn_implementation, pinned)
    # Through the base class: transformers wraps `to`, and its wrapper is typed as an unbound function.
    torch.nn.Module.to(model, target)
    model.requires_grad_(False)
    model.eval()
    reader = AutoProcessor if reads_images else AutoTokenizer
    processor = _read(lambda: reader.from_pretrained(source, **pinned), source, "the processor")
    family = family_of(config.to_dict(), _image_mark(processor))
    _apply_image_settings(family, processor)
    revision = content_revision(folder) if folder is not None else str(commit or "unknown")
    return Backbone(model, processor, family, str(name_or_path), revision, _prompt(family, processor))


def _locate(name: str) -> tuple[str, Path | None]:
    """What to hand to transformers, and the folder when it is one."""
    if name == "embedded":
        return str(EMBEDDED_FOLDER), EMBEDDED_FOLDER
    if Path(name).expanduser().is_dir():
        return str(Path(name).expanduser()), Path(name).expanduser()
    if name in BACKBONES and BACKBONES[name].hub_ids:
        return BACKBONES[name].hub_ids[0], None
    looks_local = name.startswith((".", "~", "/")) or name.count("/") > 1 or Path(name).exists()
    if looks_local or not name:
        raise InputError(f"{name!r}: no such model folder; give a folder, a hub id, or the name 'embedded'.")
    return name, None


def _hub_commit(source: str) -> str | None:
    """The commit that the hub (or its cache) names now: the folder of a cached file is ``snapshots/COMMIT``."""
    file = _read(lambda: cached_file(source, "config.json"), source, "the config")
    folder = Path(str(file)).parent
    return folder.name if folder.parent.name == "snapshots" else None


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
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    chosen = getattr(torch, dtype.removeprefix("torch."), None) if isinstance(dtype, str) else dtype
    if not isinstance(chosen, torch.dtype) or not chosen.is_floating_point:
        raise InputError(f"dtype {dtype!r} is not a floating dtype; use 'float32', 'bfloat16' or 'float16'.")
    return chosen


def _read(reader: Callable[[], T], source: str, what: str) -> T:
    try:
        return reader()
    except _UNREADABLE as error:
        offline = " (the hub is switched off by HF_HUB_OFFLINE)" if os.environ.get("HF_HUB_OFFLINE") == "1" else ""
        raise InputError(
            f"{source}: {what} could not be read{offline}: {type(error).__name__}: {error}. "
            "Check the name, that the folder or cache is complete, and that transformers supports the model "
            "without code of its own."
        ) from error


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
    auto_class: Any, source: str, dtype: torch.dtype, attention: str | None, pinned: Mapping[str, Any]
) -> PreTrainedModel:
    options = {**pinned, "dtype": dtype, "use_safetensors": True, "output_loading_info": True}
    if attention is not None:
        options["attn_implementation"] = attention
    model, report = _read(lambda: auto_class.from_pretrained(source, **options), source, "the weights")
    if missing := sorted(report["missing_keys"]):
        raise InputError(
            f"{source}: the weights lack {len(missing)} tensors of the model, first {missing[0]!r}; "
            "they would be random. Use a complete checkpoint of this model."
        )
    if report["unexpected_keys"]:
        count = len(report["unexpected_keys"])
        logger.warning("%s: %d tensors of the checkpoint have no place in the model", source, count)
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
