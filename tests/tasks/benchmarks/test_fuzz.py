"""Damaged files: every loader answers with examples that the file really holds, or with one InputError."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hificl.data import Example
from hificl.errors import InputError
from hificl.tasks import TASKS, TaskData, TaskWarning
from hificl.tasks.benchmarks import BENCHMARKS, read_split, validate
from tasks.benchmarks.layouts import LAYOUTS
from tasks.benchmarks.mirrors import MIRRORS

FUZZED = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    1.5,
    10**30,
    "",
    " ",
    "\x00",
    "\ud800",
    "../../etc/passwd",
    "/etc/passwd",
    "é" * 300,
    [],
    {},
    [[]],
]


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    built = {}
    for form, builders in {"raw": LAYOUTS, "mirror": MIRRORS}.items():
        for name, build in builders.items():
            built[form, name] = tmp_path_factory.mktemp(f"{form}_{name}")
            build(built[form, name])
    return built


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TaskWarning)
        yield


def bytewise(content: bytes, seed: int) -> bytes:
    """Cut the content off, or change, remove, insert or repeat a few bytes of it."""
    draw = random.Random(seed)
    if draw.random() < 0.2:
        return content[: draw.randrange(len(content) + 1)]
    data = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(max(len(data), 1))
        change = draw.randrange(4)
        if change == 0 and data:
            data[min(at, len(data) - 1)] = draw.randrange(256)
        elif change == 1:
            del data[at : at + draw.randint(1, 9)]
        elif change == 2:
            data[at:at] = bytes(draw.choice(b'{}[]",:0a\\\n\x00\xff') for _ in range(draw.randint(1, 3)))
        else:
            data[at:at] = data[at : at + 40]
    return bytes(data)


def nodes(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container of a JSON value with every key in it."""
    children = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    for key, child in children:
        yield value, key
        yield from nodes(child)


def structurewise(value: Any, seed: int) -> Any:
    """Replace, remove or repeat a few nodes of a JSON value, or write another node's value over one."""
    draw = random.Random(seed)
    for _ in range(draw.randint(1, 3)):
        places = list(nodes(value))
        if not places:
            return draw.choice(ODD)
        container, key = draw.choice(places)
        change = draw.randrange(4)
        if change == 0:
            container[key] = draw.choice(ODD)
        elif change == 1:
            del container[key]
        elif change == 2 and isinstance(container, list):
            container.insert(key, container[key])
        else:
            other, other_key = draw.choice(places)
            container[key] = json.loads(json.dumps(other[other_key]))
    return value


def attempt(name: str, root: Path) -> list[TaskData]:
    """Load in both modes, read every split, validate; InputError is the only error allowed."""
    task = TASKS[name]
    sizes = {"support_size": 3} if name in ("mme", "seed_bench") else {}
    calls: list[Callable[[], TaskData]] = [partial(task.load, root, on_bad=mode, **sizes) for mode in ("fail", "skip")]
    calls += [partial(read_split, name, root, split, on_bad="skip") for split in BENCHMARKS[name].splits]
    found = []
    for call in calls:
        try:
            found.append(call())
        except InputError as error:
            message = str(error)
            assert message
            assert len(message) < 1500
            message.encode()
    report = validate(name, root, samples=1)
    json.dumps(report.as_dict()).encode()
    return found


def annotation_files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.suffix in (".json", ".jsonl", ".txt", ".parquet"))


@pytest.mark.parametrize("name", LAYOUTS)
@FUZZED
@given(seed=st.integers(0, 2**32))
def test_bytes_of_official_files(name: str, seed: int, roots: dict[tuple[str, str], Path]) -> None:
    _with_change(name, roots["raw", name], seed, lambda content, path: bytewise(content, seed))


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name != "mme"])
@FUZZED
@given(seed=st.integers(0, 2**32))
def test_structure_of_official_files(name: str, seed: int, roots: dict[tuple[str, str], Path]) -> None:
    def change(content: bytes, path: Path) -> bytes:
        if path.suffix == ".jsonl":
            lines = structurewise([json.loads(line) for line in content.splitlines()], seed)
            return "\n".join(map(json.dumps, lines if isinstance(lines, list) else [lines])).encode()
        return json.dumps(structurewise(json.loads(content), seed)).encode()

    _with_change(name, roots["raw", name], seed, change)


@pytest.mark.parametrize("name", MIRRORS)
@FUZZED
@given(seed=st.integers(0, 2**32))
def test_bytes_of_mirrors(name: str, seed: int, roots: dict[tuple[str, str], Path]) -> None:
    _with_change(name, roots["mirror", name], seed, lambda content, path: bytewise(content, seed))


def _with_change(name: str, root: Path, seed: int, change: Callable[[bytes, Path], bytes]) -> None:
    files = annotation_files(root)
    path = files[seed % len(files)]
    content = path.read_bytes()
    try:
        path.write_bytes(change(content, path))
        for data in attempt(name, root):
            _check(name, root, data)
    finally:
        path.write_bytes(content)


def _check(name: str, root: Path, data: TaskData) -> None:
    """No id twice, every image inside the root, and every example as the files have it when they are read naively."""
    for examples in (data.support, data.queries):
        assert len({one.id for one in examples}) == len(examples)
        for one in examples:
            assert all(not isinstance(image, Path) or image.is_relative_to(root) for image in one.images)
            if name in NAIVE and (root / NAIVE[name][0]).exists():
                _compare(one, *NAIVE[name][1](root, *one.id.split("/", 2)[1:]))


def _compare(example: Example, text: str, answers: list[Any], image: str) -> None:
    assert " ".join(text.split()) in example.question
    assert sorted(example.answers) == sorted(" ".join(answer.split()) for answer in answers)
    assert Path(str(example.images[0])).name == image


def _of(rows: list[Any], **wanted: str) -> dict[str, Any]:
    """Return the first row with these values, compared as texts."""
    return next(
        row
        for row in rows
        if isinstance(row, dict) and all(str(row.get(key)).strip() == value for key, value in wanted.items())
    )


def _naive_vqa(root: Path, split: str, name: str, *, prefix: str = "") -> tuple[str, list[Any], str]:
    if split == "test-dev":
        rows = json.loads((root / "v2_OpenEnded_mscoco_test-dev2015_questions.json").read_bytes())["questions"]
        return (row := _of(rows, question_id=name))["question"], [], f"COCO_test2015_{row['image_id']:012d}.jpg"
    questions = json.loads((root / f"{prefix}OpenEnded_mscoco_{split}2014_questions.json").read_bytes())["questions"]
    rows = json.loads((root / f"{prefix}mscoco_{split}2014_annotations.json").read_bytes())["annotations"]
    question, annotation = _of(questions, question_id=name), _of(rows, question_id=name)
    assert sum(isinstance(row, dict) and str(row.get("question_id")).strip() == name for row in rows) == 1
    assert annotation.get("image_id") in (question["image_id"], None)
    answers = [answer["answer"] if isinstance(answer, dict) else answer for answer in annotation["answers"]]
    assert len(answers) == 10
    return question["question"], answers, f"COCO_{split}2014_{question['image_id']:012d}.jpg"


def _naive_captions(root: Path, split: str, name: str, *, file: str, key: str) -> tuple[str, list[Any], str]:
    rows = [row for row in json.loads((root / file).read_bytes())["images"] if isinstance(row, dict)]
    for row in rows:
        row["number"] = str(row.get("filename"))[-16:-4].lstrip("0")
    row = _of(rows, split=split, **{key: name})
    return "", [one["raw"] if isinstance(one, dict) else one for one in row["sentences"]], row["filename"]


def _naive_seed(root: Path, split: str, name: str) -> tuple[str, list[Any], str]:
    row = _of(json.loads((root / "SEED-Bench.json").read_bytes())["questions"], question_id=name, data_type="image")
    return f"{row['question']} Choices: A. {row['choice_a']}", [row["answer"].upper()], str(row["data_id"])


def _naive_book(root: Path, split: str, name: str) -> tuple[str, list[Any], str]:
    name, part = name.rsplit("/", 1)
    book = json.loads((root / "dataset.json").read_bytes())[name]
    assert book["split"] == {"train": 1, "val": 2, "test": 3}[split]
    return book["questions"][int(part)], [book["answers"][int(part)]], f"{name}.jpg"


NAIVE: dict[str, tuple[str, Callable[..., tuple[str, list[Any], str]]]] = {
    "vqav2": ("v2_mscoco_val2014_annotations.json", partial(_naive_vqa, prefix="v2_")),
    "ok_vqa": ("mscoco_val2014_annotations.json", _naive_vqa),
    "flickr30k": ("dataset_flickr30k.json", partial(_naive_captions, file="dataset_flickr30k.json", key="filename")),
    "coco_captions": ("dataset_coco.json", partial(_naive_captions, file="dataset_coco.json", key="number")),
    "chair": ("dataset_coco.json", partial(_naive_captions, file="dataset_coco.json", key="number")),
    "seed_bench": ("SEED-Bench.json", _naive_seed),
    "ocr_vqa": ("dataset.json", _naive_book),
}
"""By task: a file of the official layout, and a reading of one example by a second, simpler way."""
