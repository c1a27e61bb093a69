"""Stored values: found by model and task, written beside others, and always with their record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hificl.backbones import Backbone, load_backbone
from hificl.comparison import VARIANTS, Values, store_values, stored_values
from hificl.comparison.values import STORED
from hificl.errors import InputError
from hificl.methods import METHODS
from hificl.records import read_json


def searched(task: str, chosen: dict[str, Any] | None) -> dict[str, Any]:
    config = {"task": task, "backbone": "tiny", "revision": "content:1"}
    return {"config": config, "methods": {"lora": {"chosen": chosen, "trials": []}}}


def test_what_was_stored_is_found(backbone: Backbone, tmp_path: Path) -> None:
    file = tmp_path / "values.json"
    store_values(searched("colours", {"r": 3}), file, record="results/search/search.json")
    store_values(searched("shapes", {"r": 5}), file, record="results/other.json")
    tiny = replace(backbone, name="tiny", revision="content:1")
    found = stored_values(tiny, "colours", file)
    assert found == Values("stored", {"lora": {"r": 3}}, "results/search/search.json", "content:1")
    assert stored_values(tiny, "shapes", file).chosen == {"lora": {"r": 5}}
    assert stored_values(tiny, "sizes", file) == stored_values(backbone, "colours", file) == Values("defaults")


def test_values_of_another_revision_are_only_named(backbone: Backbone, tmp_path: Path) -> None:
    file = tmp_path / "values.json"
    store_values(searched("colours", {"r": 3}), file, record="results/search.json")
    found = stored_values(replace(backbone, name="tiny", revision="content:2"), "colours", file)
    assert (found.source, found.chosen) == ("defaults", {})
    assert (found.revision, found.record) == ("content:1", "results/search.json")


def test_the_embedded_model_is_the_one_that_was_searched() -> None:
    embedded = load_backbone("embedded")
    assert stored_values(embedded, "easy_vqa").source == "stored"


def test_later_values_win(backbone: Backbone) -> None:
    values = Values("stored", {"lora": {"r": 3, "epochs": 2.0, "scope": "decoder"}})
    official = values.options(VARIANTS["lora_official"], {"epochs": 7.0})
    assert official == {"r": 3, "epochs": 7.0, "scope": "official"}
    assert values.options(VARIANTS["hificl"], {}) == {}


def test_a_method_whose_trials_all_failed_is_not_stored(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no trial of lora was finished"):
        store_values(searched("colours", None), tmp_path / "values.json", record="results/search.json")
    assert not list(tmp_path.iterdir())


def test_the_values_of_the_package_are_whole() -> None:
    for tasks in read_json(STORED).values():
        for entry in tasks.values():
            assert entry.keys() == {"revision", "values", "record"}
            assert entry["record"].startswith("results/")
            for method, chosen in entry["values"].items():
                assert chosen in [dict(trial) for trial in METHODS[method].search]
                assert (Path(__file__).parents[2] / entry["record"]).is_file()
