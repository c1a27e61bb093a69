"""Protocols: the rows of the published code, the draw of the seed, and a warning for every trap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets  # type: ignore[import-untyped]
import numpy as np
import pytest

from hificl.errors import InputError
from hificl.tasks import TASKS, TaskWarning
from hificl.tasks.benchmarks import BENCHMARKS
from hificl.tasks.benchmarks.selection import drawn
from tasks.benchmarks.layouts import LAYOUTS, picture
from tasks.benchmarks.mirrors import MIRRORS, write_parquet
from tasks.benchmarks.test_loading import load


def test_the_order_is_that_of_datasets_shuffle() -> None:
    """The published code shuffles with ``datasets``; so the drawn rows are its rows."""
    shuffled = datasets.Dataset.from_dict({"row": range(1009)}).shuffle(seed=3407)["row"]
    assert drawn(1009, 300, 3407) == list(shuffled)[:300]
    assert drawn(7, 5, 3407) == np.random.default_rng(3407).permutation(7).tolist()[:5]


def test_the_seed_draws_the_support_set_and_not_the_queries(tmp_path: Path) -> None:
    LAYOUTS["vqav2"](tmp_path)
    first, again, other = (load("vqav2", tmp_path, seed=seed, query_size=4) for seed in (3407, None, 5))
    assert first == again
    assert [one.id for one in first.queries] == [one.id for one in other.queries]
    assert [one.id for one in first.support] != [one.id for one in other.support]
    assert {one.id for one in first.support} == {one.id for one in other.support}
    smaller = load("vqav2", tmp_path, support_size=3, query_size=2)
    assert smaller.support == first.support[:3]
    assert smaller.queries == first.queries[:2]


def test_published_protocols() -> None:
    sizes = {
        (name, key): (one.support_split, one.query_split, one.support_size, one.query_size, one.seeds, one.query_seed)
        for name, task in TASKS.items()
        for key, one in task.protocols.items()
        if key != "evaluation" and name in ("vqav2", "ok_vqa", "coco_captions", "chair")
    }
    three = (0, 1, 2)
    assert sizes == {
        ("vqav2", "hificl"): ("train", "val", 1000, 10_000, (3407,), 3407),
        ("ok_vqa", "hificl"): ("train", "val", 1000, None, (3407,), 3407),
        ("coco_captions", "hificl"): ("train", "val", 1000, None, (3407,), 3407),
        ("chair", "hificl"): ("train", "val", 1000, None, (3407,), 3407),
        ("vqav2", "stave"): ("train", "val", 1000, 10_000, three, 3407),
        ("ok_vqa", "stave"): ("train", "val", 1000, None, three, 3407),
        ("coco_captions", "stave"): ("train", "val", 1000, None, three, 3407),
        ("chair", "stave"): ("train", "val", 1000, None, three, 3407),
    }
    counts = {name: dict(BENCHMARKS[name].counts) for name in ("ok_vqa", "coco_captions")}
    assert counts["ok_vqa"]["val"] == 5046  # so that None takes the 5,046 and 5,000 of the studies
    assert counts["coco_captions"]["val"] == 5000
    assert counts["coco_captions"]["train"] + counts["coco_captions"]["restval"] == 113_287
    assert {one.checkpoint for task in TASKS.values() for one in task.protocols.values()} == {"last"}


def warned(name: str, root: Path, **options: Any) -> str:
    with pytest.warns(TaskWarning) as caught:
        data = TASKS[name].load(root, **options)
    assert [str(one.message) for one in caught] == list(data.warnings)
    assert all(one.filename == __file__ for one in caught)
    return "\n".join(data.warnings)


def test_every_trap_is_a_warning(tmp_path: Path) -> None:
    for name in ("vqav2", "coco_captions", "mme"):
        LAYOUTS[name](tmp_path / name)
    MIRRORS["vqav2"](tmp_path / "mirror")
    assert "split 'val' has 11 rows, the official one 214354" in warned("vqav2", tmp_path / "vqav2")
    assert "1000 rows of split 'train' are wanted and it has 7" in warned("vqav2", tmp_path / "vqav2")
    assert "no split 'train' (mirrors often have the scored split alone)" in warned("vqav2", tmp_path / "mirror")
    assert "studies that speak of 113,287 add 'restval'" in warned("coco_captions", tmp_path / "coco_captions")
    message = warned("mme", tmp_path / "mme", support_size=3)
    assert "the support set is cut from the scored split 'test'" in message
    assert "1 images are in the support set and in the query set" in message
    assert "images are in" not in warned("mme", tmp_path / "mme", support_size=4)


def test_a_mirror_that_holds_everything_is_not_the_published_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"filename": f"{at}.jpg", "caption": ["A disc."], "image": picture(at)} for at in range(9)]
    write_parquet(tmp_path / "test-00000-of-00001.parquet", rows)
    monkeypatch.setitem(BENCHMARKS["flickr30k"].counts, "test", 7)  # type: ignore[index]
    message = warned("flickr30k", tmp_path, protocol="evaluation")
    assert "split 'test' has 9 rows, the official one 7. Mirrors whose 'test' is the whole of Flickr30k" in message
    with pytest.raises(InputError, match="split 'val' is not under"):
        load("flickr30k", tmp_path)
    rows = [
        {"file_name": f"COCO_val2014_{at:012d}.jpg", "answer": ["A disc."], "image": picture(at)} for at in range(9)
    ]
    write_parquet(tmp_path / "coco" / "val.parquet", rows)
    monkeypatch.setitem(BENCHMARKS["coco_captions"].counts, "val", 7)  # type: ignore[index]
    with pytest.raises(InputError, match=r"needs the official split 'val' of 7 rows, but there are 9.*40,504"):
        load("coco_captions", tmp_path / "coco")
