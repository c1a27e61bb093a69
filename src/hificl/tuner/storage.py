"""Stored adapters: which entries are ours, and matching them to a model whose module tree may have been renamed.

Entries are matched by the list that holds the layers, the layer's index and the parameter, not by the whole path.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from torch import Tensor

from hificl.errors import InputError

_PLACE = re.compile(r"(?:(\w+)\.)?(\d+)\.(?:(?:\w+\.)*?(\w+)\.)?(\w+)\.(?:hificl_\w+)\.(.+)$")


def mark(container: str, adapter_name: str | None = None) -> str:
    """Return what every key below the container of a sidecar has in it, of one adapter or without adapter name."""
    return f".{container}." if adapter_name is None else f".{container}.{adapter_name}."


def place(key: str) -> tuple[str, ...]:
    """Return (layer list, layer index, module, sidecar, parameter) of an entry without adapter name, as names."""
    found = _PLACE.search(key)
    return tuple(part or "" for part in found.groups()) if found else (key,)


def _by_place(keys: Iterable[str]) -> dict[tuple[str, ...], str]:
    """Index entries by their place, without those that share one with another: what is ambiguous is not guessed."""
    found: dict[tuple[str, ...], str] = {}
    shared = set()
    for key in keys:
        where = place(key)
        if where in found:
            shared.add(where)
        found[where] = key
    return {where: key for where, key in found.items() if where not in shared}


def own_entries(
    state: dict[str, Tensor], container: str, adapter_name: str, not_stored: Collection[tuple[str, str]] = ()
) -> dict[str, Tensor]:
    """Select the stored entries of one adapter.

    Args:
        state: Of the whole model.
        container: The child of the sidecars that holds their adapters.
        adapter_name: Which adapter.
        not_stored: What to leave out, as (name of the sidecar on its module, parameter).

    Returns:
        Part of ``state``.
    """
    own = {}
    for key, tensor in state.items():
        path, found, parameter = key.partition(mark(container, adapter_name))
        if found and (path.rpartition(".")[2], parameter) not in not_stored:
            own[key] = tensor
    return own


def _some(names: Iterable[str]) -> str:
    names = sorted(names)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def refuse_foreign(keys: Collection[str], adapter_name: str) -> None:
    """Refuse entries that are neither the method's nor of ``modules_to_save``: loaded, they overwrite the frozen base.

    Raises:
        InputError: There are some; the message names them.
    """
    if keys:
        raise InputError(
            f"adapter {adapter_name!r} has {len(keys)} entries that are not its own ({_some(keys)}), which would "
            "overwrite the frozen base; save it with save_embedding_layers=False, name modules that it trains whole in "
            "modules_to_save, or take the file from a source that you trust"
        )


def match_entries(
    expected: dict[str, tuple[str, Tensor]], stored: dict[str, Tensor], adapter_name: str
) -> dict[str, Tensor]:
    """Rename stored entries to those of the model.

    Args:
        expected: Stored name to (name in the model, tensor in the model), for every parameter of the adapter.
        stored: What the file holds of this method.
        adapter_name: For the messages.

    Returns:
        ``stored`` under the model's names.

    Raises:
        InputError: An entry is missing, or extra, or of another shape; the message names it and shows both shapes.
    """
    pairs = {key: key for key in expected.keys() & stored.keys()}
    ours, wanted = _by_place(stored.keys() - pairs), _by_place(expected.keys() - pairs)
    pairs |= {ours[where]: wanted[where] for where in ours.keys() & wanted.keys()}
    missing, extra = expected.keys() - set(pairs.values()), stored.keys() - pairs.keys()
    if missing or extra:
        parts = []
        if missing:
            parts.append(f"lacks {len(missing)} entries that the model needs ({_some(missing)})")
        if extra:
            parts.append(f"has {len(extra)} entries that the model does not know ({_some(extra)})")
        raise InputError(
            f"adapter {adapter_name!r} {' and '.join(parts)}: it was made for another model or the file is damaged; "
            "load it on the base model named in its adapter_config.json"
        )
    renamed = {}
    for key, wanted_key in sorted(pairs.items()):
        name, tensor = expected[wanted_key]
        if stored[key].shape != tensor.shape:
            raise InputError(
                f"adapter {adapter_name!r} does not fit this model: {key} is {list(stored[key].shape)} in the file and "
                f"{list(tensor.shape)} in the model; load it on the base model named in its adapter_config.json"
            )
        renamed[name] = stored[key]
    return renamed
