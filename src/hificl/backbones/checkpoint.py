"""A model folder, judged before anything is loaded: complete, whole, no pickle, no remote code; and its revision."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

from hificl.backbones.gguf_header import check_header
from hificl.errors import InputError

_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_BESIDE_WEIGHTS = (
    "config.json",
    "tokenizer.json",
    "processor_config.json",
    "preprocessor_config.json",
    "chat_template.jinja",
)
_HASH_WHOLE = 64 * 2**20
_BLOCK = 2**16
_BLOCKS = 256


def check_folder(folder: Path) -> dict[str, Any]:
    """Read ``config.json`` of a model folder after checking that its weights are whole safetensors files.

    Raises:
        InputError: no folder, no or broken ``config.json``, no weights, pickled weights only, a missing shard or a
            truncated file.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such model folder; give a folder, a hub id, or the name 'embedded'.")
    config = _read_json(folder / "config.json", "the folder holds no model; save one there with save_pretrained")
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = sorted(set(_read_json(index, "")["weight_map"].values()))
        files = [folder / shard for shard in shards]
    else:
        files = sorted(folder.glob("model*.safetensors"))
    if not files:
        pickled = sorted(path.name for pattern in _PICKLED for path in folder.glob(pattern))
        if pickled:
            raise InputError(
                f"{folder}: the weights are pickled ({pickled[0]}), which can run code when loaded; "
                "convert them to safetensors with save_pretrained in a place you trust."
            )
        raise InputError(f"{folder}: no model.safetensors; save the model there with save_pretrained.")
    for file in files:
        check_safetensors(file)
    return config


def check_safetensors(file: Path) -> None:
    """Refuse a safetensors file that is missing, cut off or longer than its header says.

    Raises:
        InputError: with the size found and the size expected.
    """
    if not file.is_file():
        raise InputError(f"{file}: this part of the weights is missing; copy the whole folder again.")
    size = file.stat().st_size
    header = _safetensors_header(file, size)
    ends = [entry["data_offsets"][1] for name, entry in header["tensors"].items() if name != "__metadata__"]
    expected = header["start"] + max(ends, default=0)
    if size != expected:
        raise InputError(f"{file}: the file has {size} bytes and its header promises {expected}; copy it again.")


def check_gguf(file: Path) -> int:
    """Refuse a file whose header is not that of a whole GGUF file, or that cannot be read for want of a package.

    Returns:
        The number of tensors in the file.

    Raises:
        InputError: It is missing, of another kind or version, damaged, or the package ``gguf`` is not installed.
    """
    if not file.is_file():
        raise InputError(f"{file}: no such file; give a GGUF file, a model folder or a hub id.")
    tensors = check_header(file)
    if importlib.util.find_spec("gguf") is None:
        raise InputError(f"{file}: reading it takes the package gguf; run: pip install 'gguf>=0.17'")
    return tensors


def check_model_type(config: dict[str, Any], known: list[str], place: str) -> None:
    """Refuse a model type that the installed transformers does not know.

    Raises:
        InputError: with the nearest known type, or with the reason when the checkpoint wants to run its own code.
    """
    model_type = config.get("model_type")
    if model_type in known:
        return
    if config.get("auto_map"):
        raise InputError(
            f"{place}: model type {model_type!r} needs code from the checkpoint itself, which hificl never runs; "
            "use a model that transformers supports."
        )
    near = difflib.get_close_matches(str(model_type), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "use a model that transformers supports."
    raise InputError(f"{place}: config.json has unknown model type {model_type!r}; {hint}")


def content_revision(folder: Path) -> str:
    """``content:`` and 16 hex digits over the files that decide what the model computes.

    Hashed are config, tokenizer, processor and chat template whole, and of every safetensors file its name, size and
    content; of a file above 64 MiB only the first 64 KiB (its header) and 256 evenly spaced blocks of 64 KiB.
    """
    digest = hashlib.sha256()
    for file in [folder / name for name in _BESIDE_WEIGHTS] + sorted(folder.glob("*.safetensors")):
        if not file.is_file():
            continue
        size = file.stat().st_size
        digest.update(f"{file.name} {size}\n".encode())
        with file.open("rb") as stream:
            if size <= _HASH_WHOLE:
                digest.update(stream.read())
                continue
            for block in range(_BLOCKS):
                stream.seek(block * (size - _BLOCK) // (_BLOCKS - 1))
                digest.update(stream.read(_BLOCK))
    return f"content:{digest.hexdigest()[:16]}"


def _read_json(file: Path, remedy: str) -> dict[str, Any]:
    if not file.is_file():
        raise InputError(f"{file}: no such file; {remedy}.")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: not valid JSON ({error}); copy it again.") from error
    if not isinstance(content, dict):
        raise InputError(f"{file}: expected a JSON object and found {type(content).__name__}; copy it again.")
    return content


def _safetensors_header(file: Path, size: int) -> dict[str, Any]:
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > size - 8:
            raise InputError(f"{file}: the file has {size} bytes, fewer than its own header needs; copy it again.")
        try:
            tensors = json.loads(stream.read(length))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{file}: not a safetensors file ({error}); copy it again.") from error
    return {"start": 8 + length, "tensors": tensors}
