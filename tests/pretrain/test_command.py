"""The one command: a folder at the end, or a clear error and exit code 2; and the CPU-sized run learns."""

import dataclasses
import json

import pytest
from transformers import AutoModelForImageTextToText, AutoProcessor

from pretrain.__main__ import main
from pretrain.recipe import RECIPES


def test_missing_package_is_exit_code_2(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("shutil.which", lambda name: None)
    emoji_only = dataclasses.replace(RECIPES["small"], pools={"emoji": 10})
    monkeypatch.setattr("pretrain.__main__.RECIPES", {"small": emoji_only})
    code = main(["--output", str(tmp_path / "run"), "--cache", str(tmp_path / "cache")])
    assert code == 2
    assert "npm is not installed" in capsys.readouterr().err
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.parametrize("option", ["--output", "--cache"])
def test_a_folder_that_cannot_be_written_is_exit_code_2(option, tmp_path, monkeypatch, capsys):
    few_scenes = dataclasses.replace(RECIPES["tiny"], pools={"scenes": 5})
    monkeypatch.setattr("pretrain.__main__.RECIPES", {"tiny": few_scenes})
    monkeypatch.setattr("pretrain.run.HELD_OUT_SCENES", 3)
    (tmp_path / "file").touch()
    folders = {"--output": tmp_path / "run", "--cache": tmp_path / "cache"} | {option: tmp_path / "file" / "x"}
    arguments = [str(part) for pair in folders.items() for part in pair]
    assert main([*arguments, "--size", "tiny"]) == 2
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("wrong", [("--threads", "0"), ("--device", "toaster")])
def test_wrong_options_are_refused_before_anything_is_done(wrong, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--output", str(tmp_path / "run"), *wrong])
    assert wrong[0] in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_tiny_run_learns_colors_binding_and_the_form_of_answers(tmp_path):
    arguments = ["--output", str(tmp_path / "run"), "--cache", str(tmp_path / "cache"), "--size", "tiny"]
    assert main(arguments) == 0
    stages = tmp_path / "run" / "stages"
    seen = {folder.name: [json.loads(row) for row in (folder / "log.jsonl").open()] for folder in stages.iterdir()}
    assert seen["00-vision"][-1]["color_accuracy"] > 50  # 8 % by chance
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert [row["name"] for row in record["stages"]] == ["vision", "binding", "mix"]
    assert seen["01-binding"][-1]["same2"] > 65  # a picture's made-up word is found again; half by chance
    final = seen["02-mix"][-1]
    assert final["short4"] > final["short0"] + 15  # demonstrations show that one word is wanted
    AutoProcessor.from_pretrained(tmp_path / "run" / "model")
    AutoModelForImageTextToText.from_pretrained(tmp_path / "run" / "model")
