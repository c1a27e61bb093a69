"""Counting on a config alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hificl.backbones import BACKBONES, Backbone
from hificl.comparison import VARIANTS, count_methods
from hificl.errors import InputError
from hificl.methods import METHODS
from hificl.training import train
from training.tiny import colour_examples

# Trainable and stored parameters by method: idefics2, llava-interleave.
PUBLISHED = {
    "zero_shot": ((0, 0), (0, 0)),
    "icl": ((0, 0), (0, 0)),
    "icl_rices": ((0, 0), (0, 0)),
    "task_vector": ((0, 4096), (0, 4096)),
    "function_vector": ((0, 4096), (0, 4096)),
    "icv": ((0, 131072), (0, 131072)),
    "mtv": ((1024, 131072), (1024, 131072)),
    "i2cl": ((128, 262272), (128, 262272)),
    "live": ((131104, 131104), (131104, 131104)),
    "m2iv": ((262208, 262208), (262208, 262208)),
    "mimic": ((263168, 263168), (263168, 263168)),
    "mimic_altered": ((17040384, 17040384), (17040384, 17040384)),
    "prefix_tuning": ((524288, 524288), (2097152, 2097152)),
    "prefix_tuning_peft": ((524288, 524288), (2097152, 2097152)),
    "hificl": ((2228224, 2228224), (2228224, 2228224)),
    "hificl_teacher": ((2228224, 2228224), (2228224, 2228224)),
    "hificl_full": ((2097152, 2097152), (2097152, 2097152)),
    "lora_official": ((17588224, 17588224), (19652608, 19652608)),
    "lora": ((13631488, 13631488), (16777216, 16777216)),
}


def counts(rows: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    return {row["method"]: (row["trainable_parameters"], row["stored_parameters"]) for row in rows}


def test_all_methods_and_variants_are_counted_from_a_config_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(BACKBONES["idefics2"].geometry, default=dict))
    found = count_methods(str(tmp_path))
    assert found["model"] == str(tmp_path)
    rows = found["methods"]
    assert sorted(row["method"] for row in rows) == sorted(VARIANTS)
    assert [row["error"] for row in rows] == [None] * len(rows)
    assert {name: counts(rows)[name] for name in PUBLISHED} == {name: both[0] for name, both in PUBLISHED.items()}


def test_the_other_published_size() -> None:
    rows = count_methods("llava-interleave", list(PUBLISHED))["methods"]
    assert counts(rows) == {name: both[1] for name, both in PUBLISHED.items()}


def test_rows_say_what_was_attached(backbone: Backbone) -> None:
    rows = {row["method"]: row for row in count_methods(backbone.name, overrides={"dora": {"r": 3}})["methods"]}
    assert (rows["dora"]["variant_of"], rows["dora"]["options"]) == ("lora", {"dora": True, "r": 3})
    assert rows["lora"]["variant_of"] is None
    assert rows["dora"]["trainable_parameters"] < rows["lora"]["trainable_parameters"]


def test_the_count_is_that_of_the_trained_adapter(backbone: Backbone, tmp_path: Path) -> None:
    (row,) = count_methods(backbone.name, "hificl_offset")["methods"]
    run = train(backbone, colour_examples(5), recipe="plain", output_dir=tmp_path, steps=1, learn_score_offset=True)
    assert run.record["results"]["trainable_parameters"] == row["trainable_parameters"] == row["stored_parameters"]


def test_a_method_that_cannot_be_attached_is_listed(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise InputError("no such layers here")

    monkeypatch.setattr(METHODS["lora"].implementation, "peft_config", refuse)
    lora, hificl = count_methods(backbone.name, "lora,hificl")["methods"]
    assert (lora["trainable_parameters"], lora["stored_parameters"]) == (None, None)
    assert lora["error"] == "no such layers here"
    assert hificl["trainable_parameters"] == 2 * 2 * 6 * 8 * (8 + 10)
    assert hificl["error"] is None
