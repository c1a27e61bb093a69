"""A killed run continues to the same bits; a finished stage is not run again; the folder loads."""

import dataclasses
import json

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from pretrain.checkpoint import read_mark, read_tensors, write_folder
from pretrain.export import save_model_folder
from pretrain.loop import TrainingError
from pretrain.recipe import TINY
from pretrain.run import run_recipe

ARCHITECTURE = dataclasses.replace(TINY.architecture, text_width=32, text_inner=48, vision_width=32)
STAGES = tuple(dataclasses.replace(stage, steps=5, batch=120, warmup=2) for stage in TINY.stages)
SHORT = dataclasses.replace(TINY, architecture=ARCHITECTURE, pools={"scenes": 90}, stages=STAGES)


@pytest.fixture(autouse=True)
def few_held_out_scenes(monkeypatch):
    monkeypatch.setattr("pretrain.run.HELD_OUT_SCENES", 150)
    monkeypatch.setattr("pretrain.learner.run_probes", lambda *_: {})


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def weights(materials):
    return {name: p.detach().clone() for name, p in materials.model.named_parameters()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_interrupted_and_resumed_run_gives_the_bits_of_an_uninterrupted_one(tmp_path, cache):
    whole = weights(run_recipe(SHORT, tmp_path / "whole", cache=cache))
    broken = tmp_path / "broken"
    for number in range(len(STAGES)):
        part = weights(run_recipe(SHORT, broken, cache=cache, resume=number > 0, stop_after=3))
        assert not same(whole, part)
        cut = dataclasses.replace(SHORT, stages=STAGES[: number + 1])
        run_recipe(cut, broken, cache=cache, resume=True)
    assert same(whole, weights(run_recipe(SHORT, broken, cache=cache, resume=True)))
    other = weights(run_recipe(SHORT, tmp_path / "other", cache=cache, seed=7))
    assert not same(whole, other)


def test_changed_stage_is_run_anew_and_earlier_ones_are_kept(tmp_path, cache):
    run_recipe(SHORT, tmp_path, cache=cache)
    first, last = (tmp_path / "stages" / name / "weights" / "complete.json" for name in ("00-vision", "02-mix"))
    before = first.stat().st_mtime_ns, json.loads(last.read_text())["fingerprint"]
    changed = dataclasses.replace(SHORT, stages=(*STAGES[:2], dataclasses.replace(STAGES[2], learning_rate=1e-4)))
    run_recipe(changed, tmp_path, cache=cache, resume=True)
    assert first.stat().st_mtime_ns == before[0]
    assert json.loads(last.read_text())["fingerprint"] != before[1]


def test_checkpoint_is_whole_or_absent(tmp_path):
    folder = tmp_path / "running"
    assert read_mark(folder) is None
    write_folder(folder, {"a": torch.ones(3)}, {"step": 1}, {"rate": 0.5})
    write_folder(folder, {"a": torch.ones(3)}, {"step": 2}, None)
    assert read_mark(folder) == {"step": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["running"]
    folder.rename(tmp_path / "running.old")  # the moment between the two moves of a save
    assert read_mark(folder) == {"step": 2}
    (folder / "complete.json").unlink()
    assert read_mark(folder) is None


def test_a_loss_that_is_not_a_number_names_stage_and_step(tmp_path, cache, monkeypatch):
    monkeypatch.setattr("pretrain.learner.answer_loss", lambda *_: torch.tensor(float("nan")))
    with pytest.raises(TrainingError, match="stage binding, step 0: loss nan"):
        run_recipe(SHORT, tmp_path, cache=cache)


def test_saved_folder_loads_with_the_auto_classes(tmp_path, cache):
    done = run_recipe(dataclasses.replace(SHORT, stages=STAGES[:1]), tmp_path / "run", cache=cache)
    save_model_folder(done.model, done.tokenizer, tmp_path / "model")
    processor = AutoProcessor.from_pretrained(tmp_path / "model")
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "model")
    assert model.dtype == torch.bfloat16
    tokenizer = processor.tokenizer
    ids = tokenizer("red\n").input_ids
    assert (ids[0], tokenizer.padding_side) == (tokenizer.bos_token_id, "left")
    assert model.generation_config.eos_token_id == [tokenizer.eos_token_id, ids[-1]]
    for name, parameter in done.model.named_parameters():
        assert torch.equal(parameter.to(torch.bfloat16), model.get_parameter(name))


def test_a_stage_keeps_only_what_it_trained(tmp_path, cache):
    run_recipe(dataclasses.replace(SHORT, stages=STAGES[:2]), tmp_path, cache=cache)
    vision, words = (read_tensors(tmp_path / "stages" / name / "weights") for name in ("00-vision", "01-binding"))
    assert all("vision_tower" in name for name in vision)
    assert not any("vision_tower" in name for name in words)
