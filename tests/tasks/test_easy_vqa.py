"""easy-VQA: the fixed split, its balance, and what happens when the data are not there."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from hificl.data import Example, load_image
from hificl.errors import InputError
from hificl.metrics import METRICS
from hificl.tasks import TASKS, TaskData, easy_vqa

SPLIT_SHA256 = "5529679d9a7e945c54f7dada1c446beb960730af2cb88696f1aacdcb4004f22a"


@pytest.fixture(scope="module")
def data() -> TaskData:
    return TASKS["easy_vqa"].load()


def image_ids(examples: list[Example]) -> set[int]:
    return {example.meta["image_id"] for example in examples}


def test_the_entry_is_complete() -> None:
    for name, task in TASKS.items():
        assert task.name == name
        assert task.metric in METRICS
        assert all([task.description, task.license, task.source])


def test_the_split_is_fixed(data: TaskData) -> None:
    names = [example.id for example in data.support + data.queries]
    assert (len(data.support), len(data.queries)) == (300, 500)
    assert names[0] == "easy_vqa/train/6792"
    assert names[300] == "easy_vqa/test/1330"
    assert hashlib.sha256("\n".join(names).encode()).hexdigest() == SPLIT_SHA256


def test_half_of_both_sets_is_open_and_every_image_is_used_once(data: TaskData) -> None:
    for examples in (data.support, data.queries):
        quarter = len(examples) // 4
        kinds = Counter(example.meta["type"] for example in examples)
        assert kinds == {"yes/no": 2 * quarter, "colour": quarter, "shape": quarter}
        assert sum(example.meta["open"] for example in examples) == 2 * quarter
        assert len(image_ids(examples)) == len(examples)
        assert len({example.id for example in examples}) == len(examples)


def test_types_follow_from_the_answers(data: TaskData) -> None:
    answers = {
        kind: {e.answers[0] for e in data.support + data.queries if e.meta["type"] == kind}
        for kind in ("yes/no", "colour", "shape")
    }
    assert answers["yes/no"] == {"yes", "no"}
    assert answers["shape"] == {"circle", "rectangle", "triangle"}
    assert answers["colour"] == {"black", "blue", "brown", "gray", "green", "red", "teal", "yellow"}


def test_support_and_queries_come_from_their_own_split(data: TaskData) -> None:
    full = {split: {example.id: example for example in easy_vqa.read_split(split)} for split in ("train", "test")}
    assert (len(full["train"]), len(full["test"])) == (38_575, 9_673)
    assert all(full["train"][example.id] == example for example in data.support)
    assert all(full["test"][example.id] == example for example in data.queries)


def test_images_are_there(data: TaskData) -> None:
    for example in (data.support[0], data.queries[-1]):
        assert load_image(example.images[0], place=example.id).size == (64, 64)


def test_a_smaller_set_begins_a_larger_one_and_a_seed_changes_it(data: TaskData) -> None:
    small = easy_vqa.load(support_size=31, query_size=7)
    assert small.support == data.support[:31]
    assert small.queries == data.queries[:7]
    assert easy_vqa.load(support_size=31, query_size=7, seed=1).support != small.support


def test_images_repeat_only_when_none_is_left() -> None:
    queries = easy_vqa.load(query_size=5_031).queries
    assert len({example.id for example in queries}) == 5_031
    assert len(image_ids(queries)) == 1_000
    assert len(image_ids(queries[:900])) == 900
    with pytest.raises(InputError, match="5032 test questions wanted, but at most 5031 keep the share of types"):
        easy_vqa.load(query_size=5_032)


@pytest.mark.parametrize("size", [0, -3, 2.5, True, "300"])
def test_wrong_sizes(size: object) -> None:
    with pytest.raises(InputError, match="must be an integer of at least 1"):
        easy_vqa.load(support_size=size)  # type: ignore[arg-type]


def test_unknown_split() -> None:
    with pytest.raises(InputError, match="no split 'validation'; choose one of train, test"):
        easy_vqa.read_split("validation")


def test_a_missing_package_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"run: pip install easy-vqa==1.0$"):
        TASKS["easy_vqa"].load()


def test_other_data_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(easy_vqa, "_data_folder", lambda: tmp_path)
    with pytest.raises(InputError, match="cannot read .*questions.json"):
        easy_vqa.read_split("train")
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "questions.json").write_text("[]")
    with pytest.raises(InputError, match=r"is not that of release 1\.0"):
        easy_vqa.read_split("train")


def test_neither_torch_nor_the_package_itself_is_imported() -> None:
    program = (
        "import sys; from hificl.tasks import TASKS; TASKS['easy_vqa'].load(support_size=1, query_size=1)\n"
        "print({'torch', 'transformers', 'peft', 'easy_vqa'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
