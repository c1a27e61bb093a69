"""Every benchmark's entry, and what its examples hold for prompts and metrics."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from hificl.data import Example
from hificl.metrics import METRICS
from hificl.tasks import TASKS, TaskWarning
from hificl.tasks.benchmarks import BENCHMARKS, read_split
from tasks.benchmarks.layouts import LAYOUTS
from tasks.benchmarks.mirrors import MIRRORS


def first(name: str, root: Path, split: str) -> Example:
    LAYOUTS[name](root)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TaskWarning)
        return read_split(name, root, split).queries[0]


def test_entries_are_complete() -> None:
    assert set(BENCHMARKS) == set(LAYOUTS) == set(MIRRORS)
    for name, benchmark in BENCHMARKS.items():
        task = TASKS[name]
        assert (task.name, task.origin, task.support_size, task.query_size) == (name, "root", None, None)
        assert task.metric in METRICS
        assert {"hificl", "evaluation"} <= set(task.protocols)
        for key, protocol in task.protocols.items():
            assert key == protocol.name
            assert protocol.query_split in benchmark.splits
            assert protocol.support_split in (None, *benchmark.splits)
        assert set(benchmark.counts) <= set(benchmark.splits)
        assert set(benchmark.mirror_splits) == set(benchmark.splits)
        assert all(file.origin and "://" not in file.origin for file in benchmark.files)


def test_neither_torch_nor_pyarrow_is_imported() -> None:
    code = (
        "import sys, hificl.tasks; from hificl.tasks.benchmarks import validate; "
        "sys.exit(bool({'torch', 'pyarrow', 'datasets', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_vqav2(tmp_path: Path) -> None:
    example = first("vqav2", tmp_path, "val")
    assert example.answers == ("red disc", "two", *["red disc"] * 5, *["disc 0"] * 3)
    assert example.meta == {
        "question_id": "500000",
        "image_id": 500,
        "image_key": "coco:500",
        "question_type": "what is",
        "answer_type": "other",
        "first_answer": "two",
    }
    assert example.images == (tmp_path / "val2014" / "COCO_val2014_000000000500.jpg",)


@pytest.mark.parametrize(
    ("named", "answers", "target"),
    [
        ("b", ["a", "a", "b"], "b"),
        ("A B", ["a", "b", "b"], "b"),  # the named answer is normalised and literally among none
        (None, ["a", "b", "b", "a"], "a"),
    ],
)
def test_the_training_target(named: str | None, answers: list[str], target: str) -> None:
    from hificl.data.tables import Row
    from hificl.tasks.benchmarks.vqa_files import vqa_example

    answers = [*answers, *"cdefghijklm"][:10]
    row = Row("here", {"question_id": 1, "question": "?", "answers": answers, "multiple_choice_answer": named})
    example = vqa_example("vqav2", "val", row, row, [])
    assert example.answers[0] == target
    assert sorted(example.answers) == sorted(answers)
    assert example.meta["first_answer"] == "a"


def test_captions_and_objects(tmp_path: Path) -> None:
    example = first("chair", tmp_path, "val")
    assert (example.id, example.question, len(example.answers)) == ("coco/val/610", "", 5)
    assert example.answers[0] == "Disc 10 seen 1 times."
    assert example.meta["objects"] == ["hot dog", "person"]
    assert "objects" not in first("chair", tmp_path / "train", "train").meta
    assert first("flickr30k", tmp_path / "flickr", "test").id == "flickr30k/test/7015.jpg"


def test_choices_and_yes_no(tmp_path: Path) -> None:
    seed = first("seed_bench", tmp_path / "seed", "test")
    assert seed.question == (
        "How many discs are in picture 0? Choices: A. 0 discs B. 1 discs C. 2 discs D. 3 discs Answer with the letter."
    )
    assert seed.meta["choices"]["C"] == "2 discs"
    mme = first("mme", tmp_path / "mme", "test")
    assert (mme.id, mme.answers, mme.meta["pair"]) == ("mme/test/OCR/0001.jpg/yes", ("Yes",), "OCR/0001.jpg")
    meme = first("hateful_memes", tmp_path / "memes", "dev_unseen")
    assert meme.question == 'is an image with written "we are 202 discs" on it. Is it hateful?'
    assert (meme.answers, meme.meta["label"]) == (("no",), 0)


def test_a_meme_of_two_files_comes_once(tmp_path: Path) -> None:
    LAYOUTS["hateful_memes"](tmp_path)
    names = [one.meta["image_key"].split(":")[1] for one in read_split("hateful_memes", tmp_path, "val").queries]
    assert names == ["200", "201", "202", "203", "204", "205"]


def test_books_have_several_questions(tmp_path: Path) -> None:
    example = first("ocr_vqa", tmp_path, "val")
    assert (example.id, example.answers) == ("ocr_vqa/val/00712004/0", ("Writer 4",))
    assert example.meta["author"] == "Writer 4"
    with warnings.catch_warnings():
        warnings.simplefilter("error", TaskWarning)
        assert len(read_split("ocr_vqa", tmp_path, "test").queries) == 5
