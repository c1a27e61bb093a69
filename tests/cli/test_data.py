"""``hificl data``: validate, show, ids and fetch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tasks.benchmarks.layouts import LAYOUTS

from .conftest import Hificl, parsed


@pytest.fixture
def vqav2(tmp_path: Path) -> Path:
    folder = tmp_path / "vqav2"
    folder.mkdir()
    LAYOUTS["vqav2"](folder)
    return folder


def test_sound_files_are_counted(hificl: Hificl, vqav2: Path) -> None:
    told = parsed(hificl("data", "validate", "vqav2", "--root", vqav2, "--json"))
    assert told["ok"]
    splits = {split["split"]: split for split in told["splits"]}
    assert splits["val"]["official"] == 214354
    result = hificl("data", "validate", "vqav2", "--root", vqav2)
    assert result.exit_code == 0
    assert f"val: {splits['val']['rows']} of 214,354 rows (raw files)" in result.stdout
    assert "not the whole benchmark" in result.stdout


def test_what_is_missing_or_bad_is_named_and_ends_with_two(hificl: Hificl, vqav2: Path) -> None:
    (vqav2 / "v2_OpenEnded_mscoco_train2014_questions.json").unlink()
    file = vqav2 / "v2_mscoco_val2014_annotations.json"
    file.write_text(file.read_text()[:-40])
    result = hificl("data", "validate", "vqav2", "--root", vqav2)
    assert result.exit_code == 2
    assert "v2_OpenEnded_mscoco_train2014_questions.json  MISSING\n    from: " in result.stdout
    assert "bad: " in result.stdout
    assert "v2_mscoco_val2014_annotations.json" in result.stdout
    assert "Not usable as it is" in result.stdout


def test_prompts_are_shown_with_demonstrations(hificl: Hificl, vqav2: Path) -> None:
    words = ["data", "show", "vqav2", "--root", vqav2, "--model", "idefics2", "--prompt", "official", "--shots", 1]
    told = parsed(hificl(*words, "--count", 2, "--json"))
    assert len(told) == 2
    assert told[0]["prompt"].startswith("Instruction: Provide an answer to the question.")
    assert told[0]["prompt"].count("<image><end_of_outterance>") == 2
    assert len(told[0]["answers"]) == 10
    shown = hificl(*words, "--count", 1).stdout
    assert f"    Question: {told[0]['question']}<end_of_outterance>" in shown.splitlines()
    assert "(and 9 more)" in shown


def test_chat_forms_are_shown_by_turns(hificl: Hificl) -> None:
    shown = hificl("data", "show", "easy_vqa", "--model", "qwen3-vl", "--count", 1).stdout.splitlines()
    assert shown[1].strip() == "[user] <image> Provide an answer to the question. Use the image to answer."
    assert shown[3].strip() == "[assistant]"


def test_images_go_to_a_contact_sheet(hificl: Hificl, vqav2: Path, tmp_path: Path) -> None:
    result = hificl("data", "show", "vqav2", "--root", vqav2, "--count", 7, "--output", "sheet.png")
    assert result.exit_code == 0, result.output
    assert "7 images in sheet.png" in result.stderr
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 5 * 248
        assert sheet.height % 2 == 0
        below = sheet.crop((12, 12 + 224, 236, 300)).convert("L").histogram()
        assert sum(below[:100]) > 0, "there is a caption below the first image"
    assert "end its name in .png" in hificl("data", "show", "easy_vqa", "--output", "sheet.jpg").stderr


def test_ids_and_hashes_are_those_of_everybody(hificl: Hificl, vqav2: Path, tmp_path: Path) -> None:
    from hificl.tasks.benchmarks import protocol_ids

    words = ["data", "ids", "vqav2", "--root", vqav2, "--protocol", "stave", "--seed", 1]
    told = parsed(hificl(*words, "--output", "ids.json", "--json"))
    assert told == json.loads((tmp_path / "ids.json").read_text())
    assert told == protocol_ids("vqav2", vqav2, "stave", 1)
    shown = hificl(*words).stdout
    assert told["query_hash"] in shown
    assert f"{len(told['support_ids'])} rows: {told['support_ids'][0]}" in shown
    assert parsed(hificl("data", "ids", "easy_vqa", "--json"))["query_ids"][0].startswith("easy_vqa/test/")


def test_what_a_task_needs_is_fetched(hificl: Hificl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from hificl.data.packages import read_manifest
    from hificl.tasks import fetch

    package = read_manifest()["world-countries"]
    monkeypatch.setattr(fetch, "fetch_task", lambda name: [fetch.Fetched(package, tmp_path / "archive.tgz")])
    told = parsed(hificl("data", "fetch", "capitals", "--json"))
    assert told["task"] == "capitals"
    assert told["packages"][0]["name"] == "world-countries"
    assert told["packages"][0]["path"] == str(tmp_path / "archive.tgz")
    shown = hificl("data", "fetch", "capitals").stdout
    assert package.version in shown
    assert package.attribution in shown


@pytest.mark.parametrize(
    "words, said",
    [
        (["validate", "vqav2"], "name the folder with the files of the benchmark: --root DIR"),
        (["validate", "easy_vqa", "--root", "."], "task 'easy_vqa' brings its own data"),
        (["show", "vqav"], "unknown task 'vqav'; did you mean 'vqav2'?"),
        (["show", "easy_vqa", "--model", "idefix"], "unknown family 'idefix'; did you mean 'idefics"),
        (["fetch", "easy_vqa"], "nothing can be fetched for a task 'easy_vqa'"),
    ],
)
def test_wrong_use(hificl: Hificl, words: list[str], said: str) -> None:
    result = hificl("data", *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
