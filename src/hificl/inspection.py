"""What an adapter folder holds, read from its safetensors and JSON alone: no base model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from hificl.backbones.checkpoint import check_safetensors
from hificl.errors import InputError
from hificl.records import read_json

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
INFORMATION = "hificl.json"

_PEFT_PREFIX = "base_model.model."
_PAIRS = re.compile(r"(.+?)\.\w+\.(?:hificl_kv|hificl_interventions)\.(.+)")
_SHOWN = (
    "num_virtual_tokens", "r", "share", "factorize_key", "factorize_value", "mixing", "init_score_offset",
    "learn_score_offset", "compat", "cross_attention", "target_modules", "exclude_modules", "layers_to_transform",
    "lora_alpha", "lora_dropout",
)  # fmt: skip
"""Options that are shown with their default values too."""

_INTERNAL = ("auto_mapping", "peft_type", "task_type", "peft_version", "base_model_name_or_path", "revision",
    "inference_mode")  # fmt: skip


def inspect_adapter(path: str | Path) -> dict[str, Any]:
    """Describe an adapter.

    Args:
        path: Folder of an adapter, or of a run with ``adapter/`` in it.

    Returns:
        ``path``, ``method``, ``base`` (name, revision, prompt form; None where the adapter does not tell), ``task``,
        ``options`` (those of the PEFT config that size it or differ from their defaults), ``parameters``,
        ``non_finite`` (values that are NaN or infinite; 0 in a sound adapter), ``bytes`` (of the weights file) and
        ``layers``: per adapted module its name and number of parameters and, for HiFICL, heads, virtual pairs, rank,
        sizes, and the mean length (L2 norm) of its virtual keys and values over heads and pairs.

    Raises:
        InputError: No adapter there, or a file that is damaged; the message names the file.
    """
    folder = _folder(Path(path))
    config = read_json(folder / CONFIG)
    tensors = _read(folder / WEIGHTS)
    information = read_json(folder / INFORMATION) if (folder / INFORMATION).is_file() else {}
    base = information.get("base", {})
    return {
        "path": str(folder),
        "method": information.get("method") or str(config.get("peft_type", "unknown")).lower(),
        "base": {
            "name": base.get("name") or config.get("base_model_name_or_path"),
            "revision": base.get("revision"),
            "prompt": base.get("prompt"),
        },
        "task": information.get("task"),
        "options": _options(config),
        "parameters": sum(tensor.numel() for tensor in tensors.values()),
        "non_finite": sum(int((~tensor.isfinite()).sum()) for tensor in tensors.values()),
        "bytes": (folder / WEIGHTS).stat().st_size,
        "layers": [_layer(name, parts) for name, parts in _by_module(tensors).items()],
    }


def _folder(path: Path) -> Path:
    for folder in (path, path / "adapter"):
        if (folder / CONFIG).is_file():
            return folder
    raise InputError(f"{path}: no {CONFIG} here or in {path / 'adapter'}; give the folder of an adapter or of its run.")


def _options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is worth to be told of a config, in its order but for what sizes the adapter, which comes first."""
    plain = _defaults(str(config.get("peft_type")))
    told = {name: config[name] for name in _SHOWN if config.get(name) is not None}
    others = {name: value for name, value in config.items() if name not in _INTERNAL}
    return {**told, **{name: value for name, value in others.items() if value not in (plain.get(name), None)}}


def _defaults(kind: str) -> dict[str, Any]:
    """The default values of the config of a PEFT type as JSON values; empty for a type that PEFT does not know."""
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    known: dict[Any, Any] = PEFT_TYPE_TO_CONFIG_MAPPING
    plain: dict[str, Any] = json.loads(json.dumps(known[kind]().to_dict(), default=str)) if kind in known else {}
    return plain


def _read(file: Path) -> dict[str, Tensor]:
    check_safetensors(file)
    try:
        return load_file(str(file))
    except (OSError, SafetensorError) as error:
        raise InputError(f"{file}: could not be read ({error}); copy it again.") from error


def _by_module(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Group tensors by the module that they adapt, in the order of the layers."""
    modules: dict[str, dict[str, Tensor]] = {}
    for key in sorted(tensors, key=_natural):
        found = _PAIRS.fullmatch(key)
        # Other PEFT methods store `module.lora_A.weight`.
        name, part = found.groups() if found else _split_plain(key)
        modules.setdefault(name.removeprefix(_PEFT_PREFIX), {})[part] = tensors[key]
    return modules


def _split_plain(key: str) -> tuple[str, str]:
    parts = key.split(".")
    return ".".join(parts[:-2]), ".".join(parts[-2:])


def _natural(key: str) -> list[tuple[int, str]]:
    """Sort layer 10 after layer 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in key.split(".")]


def _layer(name: str, parts: Mapping[str, Tensor]) -> dict[str, Any]:
    described: dict[str, Any] = {"module": name, "parameters": sum(tensor.numel() for tensor in parts.values())}
    if not {"key_left", "key_full"} & parts.keys():
        return described
    key, value = _matrix(parts, "key"), _matrix(parts, "value")
    if "log_temperature" in parts:
        key = key * parts["log_temperature"].double().neg().exp()[:, None, None]
    described.update(heads=key.shape[0], virtual=key.shape[1], head_dim=key.shape[2], value_dim=value.shape[2])
    described["rank"] = parts["key_left"].shape[2] if "key_left" in parts else None
    for kind, matrix in (("key", key), ("value", value)):
        described[f"{kind}_norm"] = float(matrix.norm(dim=-1).mean()) if matrix.numel() else None
    return described


def _matrix(parts: Mapping[str, Tensor], kind: str) -> Tensor:
    """The virtual keys or values, [heads virtual dim], whole or from their factors."""
    if f"{kind}_full" in parts:
        return parts[f"{kind}_full"].double()
    return parts[f"{kind}_left"].double() @ parts[f"{kind}_right"].double()
