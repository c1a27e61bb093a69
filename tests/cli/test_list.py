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
    assert [line.split()[0] for line in shown[: len(known)]] == list(known)


def test_tasks_say_where_their_data_come_from(hificl: Hificl) -> None:
    listed = {entry["name"]: entry for entry in parsed(hificl("list", "tasks", "--json"))}
    assert {entry["origin"] for entry in listed.values()} == {"package", "fetch", "root"}
    assert listed["easy_vqa"]["support_size"] == 300
    assert listed["easy_vqa"]["protocols"] == []
    assert listed["vqav2"]["support_size"] is None
    assert "hificl" in listed["vqav2"]["protocols"]
    shown = hificl("list", "tasks").stdout
    for said in ("300 support, 500 query rows", "hificl data fetch flags", "--root DIR", "sizes by protocol: hificl"):
        assert said in shown
    assert all(entry["license"] in shown and entry["source"] in shown for entry in listed.values())
