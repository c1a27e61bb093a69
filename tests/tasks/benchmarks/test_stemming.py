"""Stemming for OK-VQA: rules, and words learned from training answers; never from validation answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hificl.errors import InputError
from hificl.tasks.benchmarks.stemming import learn_stems, stem_answer
from tasks.benchmarks.layouts import LAYOUTS


@pytest.mark.parametrize(
    ("words", "stems"),
    [
        ("surfing skiing flying playing", "surf ski fly play"),
        ("riding hiking driving dancing using closing", "ride hike drive dance use close"),
        ("running swimming sitting cutting", "run swim sit cut"),
        ("juggling celebrating eating floating", "juggle celebrate eat float"),
        ("dogs trees oranges horses kites", "dog tree orange horse kite"),
        ("dishes glasses boxes tomatoes buses", "dish glass box tomato bus"),
        ("cherries cookies knives wolves gloves", "cherry cookie knife wolf glove"),
        ("women children teeth mice people", "woman child tooth mouse person"),
        ("bus tennis grass ring king this gas thing", "bus tennis grass ring king this gas thing"),
        ("1950s t-shirts", "1950s t-shirts"),
        ("Hot DOGS", "hot dog"),
        ("", ""),
    ],
)
def test_rules(words: str, stems: str) -> None:
    assert stem_answer(words) == stems


def test_stems_stay_as_they_are() -> None:
    for stem in ("surf", "ride", "run", "juggle", "dog", "orange", "dish", "cherry", "knife", "woman", "tooth"):
        assert stem_answer(stem) == stem


def write_answers(root: Path, split: str, pairs: list[tuple[str, str]]) -> None:
    path = root / f"mscoco_{split}2014_annotations.json"
    content = json.loads(path.read_bytes())
    for row in content["annotations"]:
        for entry, (raw, stem) in zip(row["answers"], pairs, strict=False):
            entry.update(raw_answer=raw, answer=stem)
    path.write_text(json.dumps(content))


def test_learned_words_go_before_the_rules(tmp_path: Path) -> None:
    LAYOUTS["ok_vqa"](tmp_path)
    write_answers(tmp_path, "train", [("Pants", "pants"), ("snow boarding", "snow board"), ("living rooms", "room")])
    write_answers(tmp_path, "val", [("secrets", "leaked")])
    words = learn_stems(tmp_path)
    assert words["pants"] == "pants"
    assert words["boarding"] == "board"
    assert "living" not in words
    assert "secrets" not in words
    assert stem_answer("pants boarding dogs", words) == "pants board dog"
    assert stem_answer("pants") == "pant"


def test_what_cannot_be_learned_from(tmp_path: Path) -> None:
    assert learn_stems(tmp_path) == {}
    LAYOUTS["ok_vqa"](tmp_path)
    path = tmp_path / "mscoco_train2014_annotations.json"
    path.write_text(path.read_text().replace('"raw_answer"', '"other"', 1))
    with pytest.raises(InputError, match=r"annotations row 1: field 'answers\[1\]' has no 'raw_answer'"):
        learn_stems(tmp_path)
    path.write_text('{"annotations": []}')
    with pytest.raises(InputError, match="holds no answer in both forms"):
        learn_stems(tmp_path)
