"""Records of runs: what they ran on, and files written whole or not at all. Nothing here imports torch."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import math
import os
import platform
import resource
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from hificl.errors import InputError, RunError

PACKAGES = (
    "hificl",
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "tokenizers",
    "safetensors",
    "numpy",
    "pillow",
)
"""Packages whose versions a record holds."""


def environment() -> dict[str, str | None]:
    """Versions that a result depends on: Python, each of ``PACKAGES``, and hificl's git ``commit``.

    A package that is not installed, and the commit of a hificl that does not lie in a git repository, are
    None.
    """
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return versions | {"commit": git_commit(Path(__file__).parent)}


def git_commit(path: str | os.PathLike[str]) -> str | None:
    """Commit of the git repository that tracks ``path``; ``-dirty`` follows when tracked files were changed.

    None when ``path`` does not exist, is not tracked (such as a package inside an ignored virtual
    environment), or git is not there. The repository is only read.
    """
    path = Path(path).absolute()
    folder = path if path.is_dir() else path.parent
    try:
        _git(folder, "ls-files", "--error-unmatch", "--", str(path))
        commit = _git(folder, "rev-parse", "--verify", "HEAD")
        changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}-dirty" if changes else commit


def _git(folder: Path, *arguments: str) -> str:
    result = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=10,
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
    )
    return result.stdout.strip()


def host() -> dict[str, str | int | None]:
    """The machine that a run used; no name or address of it.

    Keys: ``machine`` (architecture), ``system``, ``cpu`` (model name), ``cores`` (usable by this process),
    ``memory_bytes`` (installed), ``threads`` (of torch; None when torch is not imported) and ``gpu`` (its
    model name; None when the process has not used one).
    """
    torch = sys.modules.get("torch")
    cuda = _used_cuda()
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "machine": platform.machine(),
        "system": platform.platform(),
        "cpu": _cpu_model(),
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "threads": torch.get_num_threads() if torch else None,
        "gpu": cuda.get_device_name() if cuda else None,
    }


def _cpu_model() -> str | None:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass  # only Linux has this file
    return platform.processor() or None


def _used_cuda() -> Any:
    """The module ``torch.cuda`` if this process has already used a GPU, else None."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch and torch.cuda.is_initialized() else None


_earlier_peak = 0
"""Bytes on a GPU before the part that is being measured."""


def peak_memory_bytes() -> int:
    """Largest memory in use since the start of the process or the last :func:`reset_peak_memory`, in bytes.

    On a GPU that the process has used: the most that torch had allocated there, over all devices. Otherwise
    the largest resident size of the process.
    """
    cuda = _used_cuda()
    if cuda:
        return max(_earlier_peak, *(int(cuda.max_memory_allocated(device)) for device in range(cuda.device_count())))
    try:
        # Unlike ru_maxrss this number can be reset, and a child does not inherit it from a larger parent.
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # only Linux has this file
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def reset_peak_memory() -> bool:
    """Start a new measurement for :func:`peak_memory_bytes`; False (and no effect) where that cannot be done."""
    global _earlier_peak
    cuda = _used_cuda()
    if cuda:
        _earlier_peak = 0
        for device in range(cuda.device_count()):
            cuda.reset_peak_memory_stats(device)
        return True
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def start_part_on_gpu() -> None:
    """Let torch count the peak of a part by itself; :func:`peak_memory_bytes` remembers what was before."""
    global _earlier_peak
    peak = peak_memory_bytes()
    reset_peak_memory()
    _earlier_peak = peak


def write_json(path: str | os.PathLike[str], value: object) -> None:
    """Write a value as strict JSON (UTF-8, indented, lists of plain values on one line), whole or not at all.

    See :func:`write_atomic`.

    Beside the types of JSON it takes tuples, other mappings, paths (as text) and numpy numbers and arrays.
    Names of an object must be texts. A number that is not finite is an error and never becomes null on its
    own: an unknown value is None, and a NaN is a bug that must not look like one.

    Raises:
        InputError: A value has no strict JSON form; the message says where in ``value`` it stands. Nothing is
            written.
        RunError: The file could not be written.
    """
    plain = _plain(value, "$")
    try:
        data = _indented(plain, "\n", json.JSONEncoder(ensure_ascii=False, allow_nan=False)).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which only the escaped form can hold
        data = _indented(plain, "\n", json.JSONEncoder(allow_nan=False)).encode()
    write_atomic(path, data + b"\n")


def _indented(value: Any, line: str, encoder: json.JSONEncoder) -> str:
    """JSON with two spaces for each level; a list of plain values stays on its line, or long ones would fill a file."""
    if not value or not isinstance(value, dict | list) or not _is_nested(value):
        return encoder.encode(value)
    inner = f"{line}  "
    if isinstance(value, dict):
        items = [f"{encoder.encode(name)}: {_indented(item, inner, encoder)}" for name, item in value.items()]
        return f"{{{inner}{f',{inner}'.join(items)}{line}}}"
    return f"[{inner}{f',{inner}'.join(_indented(item, inner, encoder) for item in value)}{line}]"


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict) or any(isinstance(item, dict | list) for item in value)


def write_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that at any moment, also after a crash, the old or the whole new content is there.

    Missing parent folders are made. A failure leaves the old file as it was and no partial file.

    Raises:
        RunError: The file could not be written, for example because the disk is full.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise RunError(
            f"{path}: could not be written ({error.strerror or error}); "
            "what was there before is unchanged; make room or check the permissions, then run again"
        ) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems cannot do this; the file itself is already whole and in its place.
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a strict JSON file.

    Raises:
        InputError: The file is missing or unreadable, is not UTF-8, or is not strict JSON; the message names
            the place.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start}); the file is damaged, write it again") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}:{error.lineno}: invalid JSON at column {error.colno} ({error.msg}); the file is "
            "damaged, write it again"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: invalid JSON ({error}); the file is damaged, write it again") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def content_hash(content: object) -> str:
    """SHA-256 of a content, as 64 hexadecimal digits.

    Args:
        content: Bytes; or a path object, which stands for the bytes of that file; or anything that
            :func:`write_json` takes, by its canonical JSON (sorted names). A text is hashed as JSON, not as a
            path.

    Raises:
        InputError: The file cannot be read, or the value has no strict JSON form.
    """
    if isinstance(content, (bytes, bytearray, memoryview)):
        return hashlib.sha256(content).hexdigest()
    if isinstance(content, os.PathLike):
        try:
            with Path(content).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise InputError(f"{content}: cannot be read ({error.strerror or error}); check the path") from error
    text = json.dumps(_plain(content, "$"), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object, place: str) -> Any:
    """The value in JSON's own types, or an error that names the place of what has none."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InputError(f"record: {place} is {value}, which JSON cannot hold; write None for an unknown value")
        return float(value)
    if isinstance(value, (np.generic, np.ndarray)):
        return _plain(value.tolist(), place)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise InputError(f"record: {place} has the name {name!r}; names in JSON must be texts")
        return {name: _plain(item, f"{place}.{name}") for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{place}[{position}]") for position, item in enumerate(value)]
    raise InputError(f"record: {place} is a {type(value).__name__}, which JSON cannot hold; convert it first")
