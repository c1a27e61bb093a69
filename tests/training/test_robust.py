"""The recipe ``robust``: a start from demonstrations where it can be, and what gives way where it cannot."""

from __future__ import annotations

import importlib
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from hificl import train
from hificl.backbones import Backbone
from hificl.context.start import encode_demonstrations
from hificl.data import Example
from hificl.errors import InputError
from hificl.methods import METHODS
from hificl.methods.fitting import Fitting
from hificl.methods.hificl import check
from hificl.training import RECIPES, plan
from hificl.tuner import HiFICLConfig

ROBUST: dict[str, Any] = {"recipe": "robust", "steps": 2}


def shorter(examples: list[Example]) -> list[Example]:
    """Without images, so that eight of them fit into the context."""
    return [replace(one, images=(), question="colour?") for one in examples]


def many(examples: list[Example]) -> list[Example]:
    """Enough of them for four captures of eight."""
    return [replace(one, id=f"{one.id}.{copy}") for copy in range(4) for one in shorter(examples)]


def config_of(run: Any) -> Any:
    return run.model.peft_config["default"]


def test_hificl_starts_from_demonstrations(backbone: Backbone, examples: list[Example], tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        run = train(backbone, many(examples), output_dir=tmp_path / "run", **ROBUST)
    assert config_of(run).init == "demonstrations"
    assert config_of(run).learn_score_offset
    assert len(run.record["results"]["prepared"]["demonstrations"]) == 32
    assert run.record["config"]["recipe"]["average"] == METHODS["hificl"].robust["average"]
    assert run.backbone.prompt.opening == "in_adapter"


def test_other_methods_and_configs_of_the_caller_take_the_numbers_alone(
    backbone: Backbone, examples: list[Example], tmp_path: Path
) -> None:
    run = train(backbone, examples, method="lora", output_dir=tmp_path / "lora", **ROBUST)
    assert run.record["config"]["recipe"]["least_steps"] == RECIPES["robust"].least_steps
    own = train(backbone, examples, method=type(config_of(run))(r=2, target_modules=["q_proj"]),
                output_dir=tmp_path / "own", **ROBUST)  # fmt: skip
    assert own.record["config"]["recipe"]["least_steps"] == RECIPES["robust"].least_steps


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
    fits = shorter(examples)
    with pytest.warns(UserWarning, match=rf"recipe 'robust' goes on with init='random': .*{said}"):
        assert plan(backbone, fits, **ROBUST).start is None
    with pytest.warns(UserWarning, match=rf"recipe 'robust' goes on with init='random': .*{said}"):
        run = train(backbone, fits, output_dir=tmp_path / "run", **ROBUST)
    assert config_of(run).init == "random"
    assert config_of(run).learn_score_offset
    assert run.backbone.prompt.opening == "written"
    for asked in ({"init": "demonstrations"}, {"init_shots": 3}):
        with pytest.raises(InputError, match=said):
            train(backbone, fits, output_dir=tmp_path / "asked", **asked, **ROBUST)
    # Nothing is left to give way to.
    with pytest.raises(InputError, match=said):
        train(backbone, fits, output_dir=tmp_path / "asked", **{**ROBUST, "steps": 0})
    assert not (tmp_path / "asked").exists()


def test_what_a_start_cannot_be_with_gives_way_too(backbone: Backbone, examples: list[Example], tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="goes on with init='random': .*leave mixing='softmax'"):
        run = train(backbone, examples, output_dir=tmp_path / "run", mixing="additive", **ROBUST)
    assert config_of(run).init == "random"


def test_what_does_not_fit_is_tried_with_fewer_demonstrations(
    backbone: Backbone, examples: list[Example], tmp_path: Path
) -> None:
    with pytest.warns(
        UserWarning, match=r"goes on with init_captures=1, init_shots=4: .*context .* holds 199; use fewer than 8 shots"
    ):
        assert plan(backbone, examples, **ROBUST).start == "4 demonstrations"
    with pytest.warns(
        UserWarning, match=r"goes on with init_captures=1, init_shots=4: .*context .* holds 199; use fewer than 8 shots"
    ):
        run = train(backbone, examples, output_dir=tmp_path / "run", **ROBUST)
    assert len(run.record["results"]["prepared"]["demonstrations"]) == 4
    with pytest.warns(
        UserWarning, match=r"goes on with init_captures=1, init_shots=2: .*takes 1 x 4 .*there are 3 examples"
    ):
        run = train(backbone, examples[:3], output_dir=tmp_path / "few", **ROBUST)
    assert len(run.record["results"]["prepared"]["demonstrations"]) == 2


def test_an_option_of_the_caller_leaves_the_ways_that_are_not_about_it(
    backbone: Backbone, examples: list[Example]
) -> None:
    with pytest.warns(UserWarning, match=r"goes on with init_captures=1: .*takes 4 x 5 .*there are 11 examples"):
        assert plan(backbone, shorter(examples), init_shots=5, **ROBUST).start == "5 demonstrations"
    # No way is left that begins at random.
    with pytest.raises(InputError, match="takes 1 x 12 .*there are 11 examples"):
        plan(backbone, shorter(examples), init_shots=12, **ROBUST)
    with pytest.raises(InputError, match="takes 6 x 4 .*there are 5 examples"):
        plan(backbone, shorter(examples)[:5], init_captures=6, **ROBUST)


@pytest.mark.filterwarnings("ignore:recipe 'robust' goes on")
def test_a_window_that_all_demonstrations_do_not_fit_into_is_seen_before_training(
    backbone: Backbone, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    longest: list[int] = []
    module = importlib.import_module("hificl.context.capture")

    def window(call: Any) -> None:
        longest.append(call.query.shape[2])
        if call.query.shape[2] > 60:
            raise InputError("its sliding window is shorter")

    monkeypatch.setattr(module, "_check_seen", window)
    run = train(backbone, shorter(examples), output_dir=tmp_path / "run", **ROBUST)
    assert max(longest) > 60
    assert run.record["results"]["prepared"]["tokens"] <= 60


def test_the_trial_leaves_the_random_state(backbone: Backbone, examples: list[Example]) -> None:
    before = torch.random.get_rng_state()
    check(Fitting(backbone, examples, [], "exact_match", 0), HiFICLConfig(init="demonstrations", init_shots=2))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.filterwarnings("ignore:recipe 'robust' goes on")
def test_the_longest_text_is_rehearsed_once(
    backbone: Backbone, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []
    monkeypatch.setattr(
        importlib.import_module("hificl.context.start"), "rehearse", lambda _, text, query: lengths.append(text.length)
    )
    longer = [replace(one, question="what color? " * (1 + number)) for number, one in enumerate(shorter(examples))]
    plan(backbone, longer, init_captures=3, init_shots=1, **ROBUST)
    shown = Fitting(backbone, longer, [], "exact_match", 0).draw(len(longer), "start")[:3]
    assert lengths == [max(one.length for one in encode_demonstrations(backbone, shown, 1))]
    lengths.clear()
    plan(backbone, shorter(examples), **ROBUST)
    assert len(lengths) == 1


def test_only_what_is_compressed_has_to_be_compressible(
    backbone: Backbone, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise InputError("attention with softcap is no plain softmax")

    monkeypatch.setattr(importlib.import_module("hificl.context.start"), "ask", refuse)
    fitting = Fitting(backbone, examples, [], "exact_match", 0)
    shown = fitting.draw(len(examples), "start")[:2]
    whole = HiFICLConfig(
        init="demonstrations", init_shots=2, num_virtual_tokens=encode_demonstrations(backbone, shown)[0].length
    )
    check(fitting, whole)
    with pytest.raises(InputError, match="softcap"):
        check(fitting, replace(whole, num_virtual_tokens=whole.num_virtual_tokens - 1))


def test_what_the_caller_sets_wins(backbone: Backbone, examples: list[Example], tmp_path: Path) -> None:
    run = train(backbone, examples, output_dir=tmp_path / "run", init="random", **ROBUST)
    assert config_of(run).init == "random"
