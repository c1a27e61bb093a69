"""``hificl list``: one array of objects with a name."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

import hificl as package

from .conftest import Hificl, parsed


@pytest.mark.parametrize(
    "kind, known", [("methods", package.METHODS), ("tasks", package.TASKS), ("backbones", package.BACKBONES)]
)
def test_every_entry_is_listed(hificl: Hificl, kind: str, known: Mapping[str, object]) -> None:
    listed = parsed(hificl("list", kind, "--json"))
    assert [entry["name"] for entry in listed] == list(known)
    shown = hificl("list", kind).stdout.splitlines()
    assert [line.split()[0] for line in shown] == list(known)
