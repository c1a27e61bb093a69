"""The recipe ``robust``: a start from demonstrations where it can be, and what gives way where it cannot."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any

import pytest

from hificl import train
from hificl.backbones import Backbone
from hificl.data import Example
from hificl.errors import InputError
from hificl.training import plan

ROBUST: dict[str, Any] = {"recipe": "robust", "steps": 2}
NO_HOLDOUT: dict[str, Any] = {**ROBUST, "holdout": 0.0}


def config_of(run: Any) -> Any:
    return run.model.peft_config["default"]


def test_hificl_starts_from_demonstrations(backbone: Backbone, examples: list[Example], tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        run = train(backbone, examples, output_dir=tmp_path / "run", init_shots=3, **ROBUST)
    assert config_of(run).init == "demonstrations"
    assert config_of(run).learn_score_offset
    assert len(run.record["results"]["prepared"]["demonstrations"]) == 3
    assert run.record["config"]["recipe"]["holdout"] == 0.1
    assert run.backbone.prompt.opening == "in_adapter"


def test_other_methods_and_configs_of_the_caller_take_the_numbers_alone(
    backbone: Backbone, examples: list[Example], tmp_path: Path
) -> None:
    run = train(backbone, examples, method="lora", output_dir=tmp_path / "lora", **ROBUST)
    assert run.record["config"]["recipe"]["holdout"] == 0.1
    own = train(backbone, examples, method=type(config_of(run))(r=2, target_modules=["q_proj"]),
                output_dir=tmp_path / "own", **ROBUST)  # fmt: skip
    assert own.record["config"]["recipe"]["holdout"] == 0.1


def turned_by_length(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> str:
    rotary = backbone.model.model.language_model.rotary_emb
    monkeypatch.setattr(rotary, "rope_type", "dynamic")
    return "rope_type 'dynamic'"


def seen_only_when_run(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> str:
    def refuse(call: Any) -> None:
        raise InputError("tokens of a prompt see later ones")

    monkeypatch.setattr(importlib.import_module("hificl.context.capture"), "_check_seen", refuse)
    return "tokens of a prompt see later ones"


@pytest.mark.parametrize("obstacle", [turned_by_length, seen_only_when_run])
def test_a_start_that_cannot_be_gives_way_with_a_warning(
    obstacle: Any, backbone: Backbone, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = obstacle(backbone, monkeypatch)
    options = {**ROBUST, "init_shots": 3}
    with pytest.warns(UserWarning, match=rf"recipe 'robust' goes on with init='random': .*{said}"):
        assert plan(backbone, examples, **options).steps == 2
    with pytest.warns(UserWarning, match=rf"recipe 'robust' goes on with init='random': .*{said}"):
        run = train(backbone, examples, output_dir=tmp_path / "run", **options)
    assert config_of(run).init == "random"
    assert config_of(run).learn_score_offset
    assert run.backbone.prompt.opening == "written"
    with pytest.raises(InputError, match=said):
        train(backbone, examples, output_dir=tmp_path / "asked", init="demonstrations", **options)
    assert not (tmp_path / "asked").exists()


def test_what_does_not_fit_is_tried_with_fewer_demonstrations(
    backbone: Backbone, examples: list[Example], tmp_path: Path
) -> None:
    with pytest.warns(UserWarning, match=r"goes on with init_shots=4: .*context .* holds 199; use fewer than 8 shots"):
        run = train(backbone, examples, output_dir=tmp_path / "run", **ROBUST)
    assert len(run.record["results"]["prepared"]["demonstrations"]) == 4
    with pytest.warns(UserWarning, match=r"goes on with init_shots=2: .*takes 1 x 8 .*there are 3 examples"):
        run = train(backbone, examples[:3], output_dir=tmp_path / "few", **NO_HOLDOUT)
    assert len(run.record["results"]["prepared"]["demonstrations"]) == 2


def test_what_the_caller_sets_wins(backbone: Backbone, examples: list[Example], tmp_path: Path) -> None:
    run = train(backbone, examples, output_dir=tmp_path / "run", init="random", **ROBUST)
    assert config_of(run).init == "random"
