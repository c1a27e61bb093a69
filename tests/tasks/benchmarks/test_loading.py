"""Loading: the rows of a protocol, the same from official files and mirrors, with every trap named."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from hificl.data import ImageCell, load_image, parquet
from hificl.errors import InputError
from hificl.tasks import TASKS, TaskData, TaskWarning
from hificl.tasks.benchmarks import BENCHMARKS, read_split, rows_hash
from tasks.benchmarks.layouts import LAYOUTS, vqa_rows, write_json
from tasks.benchmarks.mirrors import MIRRORS

SCORED = {
    "vqav2": (7, 11),
    "ok_vqa": (7, 11),
    "coco_captions": (7, 5),
    "flickr30k": (10, 5),
    "ocr_vqa": (10, 7),
    "seed_bench": (3, 8),
    "mme": (3, 7),
    "hateful_memes": (7, 6),
    "chair": (7, 5),
}
"""Support examples and queries of the fixtures; of ``seed_bench`` and ``mme`` the support size is an option."""


def load(name: str, root: Path, **options: Any) -> TaskData:
    if name in ("seed_bench", "mme") and options.get("protocol") != "evaluation":
        options.setdefault("support_size", 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TaskWarning)
        return TASKS[name].load(root, **options)


@pytest.mark.parametrize("name", LAYOUTS)
def test_official_files(name: str, tmp_path: Path) -> None:
    LAYOUTS[name](tmp_path)
    data = load(name, tmp_path)
    assert (len(data.support), len(data.queries)) == SCORED[name]
    assert data.skipped == ()
    assert not {one.id for one in data.support} & {one.id for one in data.queries}
    assert all(isinstance(image, Path) for one in data.queries for image in one.images)
    assert load_image(data.queries[0].images[0], place=name).mode == "RGB"
    assert load(name, tmp_path, on_bad="skip") == data


@pytest.mark.parametrize("name", LAYOUTS)
def test_mirrors_give_the_same_rows_as_official_files(name: str, tmp_path: Path) -> None:
    LAYOUTS[name](tmp_path / "raw")
    MIRRORS[name](tmp_path / "mirror")
    split = BENCHMARKS[name].protocols["hificl"].query_split
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TaskWarning)
        raw, mirror = (read_split(name, tmp_path / form, split).queries for form in ("raw", "mirror"))
    if name == "hateful_memes":  # the mirror holds one of the two development files
        raw = raw[:3]
    if name == "mme":  # folders are read in the order of their names
        raw, mirror = sorted(raw, key=lambda one: one.id), sorted(mirror, key=lambda one: one.id)
    assert rows_hash(raw) == rows_hash(mirror)
    for one, other in zip(raw, mirror, strict=True):
        pictures = [load_image(image, place=name).tobytes() for image in (*one.images, *other.images)]
        assert len(pictures) == 2
        assert pictures[0] == pictures[1]
        told = {key: value for key, value in other.meta.items() if value is not None}
        assert told == {key: one.meta[key] for key in told}
        assert "question_id" not in one.meta or "question_id" in told


def test_images_stay_closed_until_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in MIRRORS:
        MIRRORS[name](tmp_path / name)
    calls: list[tuple[str, int]] = []
    read = parquet.read_cell

    def counted(path: Path, row: int, column: str) -> Any:
        calls.append((path.name, row))
        return read(path, row, column)

    monkeypatch.setattr("hificl.data.cells.read_cell", counted)
    monkeypatch.setattr("hificl.tasks.benchmarks.parquet_rows.read_cell", counted)
    monkeypatch.setattr(Image, "open", lambda *args, **options: pytest.fail("an image was opened"))
    loaded = {name: load(name, tmp_path / name, query_size=2 if name == "vqav2" else None) for name in MIRRORS}
    assert {name for name, _ in calls} == {"0000.parquet"}  # a column of bytes alone tells nothing of its cells
    calls.clear()
    image = loaded["vqav2"].queries[1].images[0]
    assert isinstance(image, ImageCell)
    image.read()
    assert calls == [(image.file.name, image.row)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"root": None}, "nothing is downloaded, so the folder of the data set is needed; pass root=DIR"),
        ({"root": "none"}, "root: folder none: cannot be opened"),
        ({"root": 3}, "root: is a int; pass the path of a folder"),
        ({"protocol": "mimic"}, "unknown protocol 'mimic'; choose one of hificl, stave, evaluation"),
        ({"on_bad": "ignore"}, "on_bad must be 'fail' or 'skip', got 'ignore'"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ({"support_size": 0}, "support_size must be an integer of at least 1, got 0"),
        ({"query_size": True}, "query_size must be an integer of at least 1, got True"),
        ({"protocol": "evaluation", "support_size": 3}, "protocol 'evaluation' has no support set"),
        ({"columns": ["question"]}, "columns must map fields to column names, got list"),
        ({"images": "none"}, "images: folder none: cannot be opened"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    LAYOUTS["vqav2"](tmp_path)
    with pytest.raises(InputError) as error:
        load("vqav2", **({"root": tmp_path} | options))
    assert message in str(error.value)


def test_what_is_missing_is_listed(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        load("ok_vqa", tmp_path)
    for part in (
        "split 'val' is not under",
        "mscoco_val2014_annotations.json",
        "val2014*.parquet",
        "hificl data validate",
    ):
        assert part in str(error.value)
    with pytest.raises(InputError, match="no split 'dev'; choose one of train, val"):
        read_split("ok_vqa", tmp_path, "dev")


def test_a_split_without_a_row_is_refused(tmp_path: Path) -> None:
    LAYOUTS["vqav2"](tmp_path)
    write_json(tmp_path / "v2_OpenEnded_mscoco_val2014_questions.json", {"questions": []})
    with pytest.raises(InputError, match="vqav2: the files of split 'val' hold no row"):
        load("vqav2", tmp_path)


def test_a_support_set_that_leaves_no_query_names_the_benchmark(tmp_path: Path) -> None:
    LAYOUTS["mme"](tmp_path)
    with pytest.raises(InputError, match="mme: split 'test' has 10 rows and 1000 .* smaller support_size"):
        TASKS["mme"].load(root=tmp_path)


def test_the_test_splits_without_answers(tmp_path: Path) -> None:
    LAYOUTS["vqav2"](tmp_path)
    with pytest.warns(TaskWarning):
        data = read_split("vqav2", tmp_path, "test-dev")
    assert [one.answers for one in data.queries] == [()] * 3
    assert data.queries[0].id == "vqav2/test-dev/900000"


def test_images_in_another_folder_and_in_usual_places(tmp_path: Path) -> None:
    LAYOUTS["vqav2"](tmp_path / "all")
    (tmp_path / "coco" / "images").mkdir(parents=True)
    (tmp_path / "all" / "annotations").mkdir()
    for part in ("train2014", "val2014"):
        (tmp_path / "all" / part).rename(tmp_path / "coco" / "images" / part)
        file = f"v2_mscoco_{part}_annotations.json"
        (tmp_path / "all" / file).rename(tmp_path / "all" / "annotations" / file)
    with pytest.raises(InputError, match=r"questions row \d+: field 'image_id'.*does not exist in the images folder"):
        load("vqav2", tmp_path / "all")
    assert len(load("vqav2", tmp_path / "all", images=tmp_path / "coco").queries) == 11


def test_files_behind_links_as_in_a_cache(tmp_path: Path) -> None:
    """A Hub cache holds links to blobs; annotation files of clusters are links too. Images must stay inside."""
    MIRRORS["vqav2"](tmp_path / "blobs")
    LAYOUTS["ok_vqa"](tmp_path / "store")
    for link, target in [("snapshot/data", "blobs/data"), ("ok", "store")]:
        (tmp_path / link).mkdir(parents=True)
        for path in (tmp_path / target).iterdir():
            (tmp_path / link / path.name).symlink_to(path)
    data = load("vqav2", tmp_path / "snapshot")
    assert len(data.queries) == 11
    assert load_image(data.queries[0].images[0], place="x").height == 17
    with pytest.raises(InputError, match="leaves the images folder"):
        load("ok_vqa", tmp_path / "ok")
    assert len(load("ok_vqa", tmp_path / "ok", images=tmp_path / "store").queries) == 11


def test_a_subset_of_questions_uses_the_full_annotations(tmp_path: Path) -> None:
    LAYOUTS["ok_vqa"](tmp_path)
    questions, _ = vqa_rows("val")
    write_json(tmp_path / "OpenEnded_mscoco_val2014_questions.json", {"questions": questions[3:5]})
    assert [one.meta["question_id"] for one in load("ok_vqa", tmp_path).queries] == ["501001", "502000"]


def test_damaged_files_are_never_skipped(tmp_path: Path) -> None:
    LAYOUTS["vqav2"](tmp_path)
    path = tmp_path / "v2_mscoco_val2014_annotations.json"
    path.write_text(path.read_text()[:-700])
    for mode in ("fail", "skip"):
        with pytest.raises(InputError, match=r"annotations row \d+: invalid JSON.*fetch it again"):
            load("vqav2", tmp_path, on_bad=mode)
    path.write_text(json.dumps({"annotations": []}))
    with pytest.raises(InputError, match="all 11 rows are bad, the first: .* has no row in v2_mscoco_val2014_ann"):
        load("vqav2", tmp_path, on_bad="skip")
