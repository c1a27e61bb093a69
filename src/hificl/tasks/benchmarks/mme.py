"""MME: two yes/no questions per image, fourteen subtasks of perception and cognition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from hificl.data import Example, ImageSource
from hificl.data.json_text import read_text
from hificl.data.paths import path_inside
from hificl.data.tables import Row
from hificl.errors import InputError
from hificl.metrics.mme import COGNITION, PERCEPTION
from hificl.tasks.benchmarks import fields
from hificl.tasks.benchmarks.benchmark import Benchmark, SourceFile
from hificl.tasks.benchmarks.columns import Columns
from hificl.tasks.benchmarks.root import Root
from hificl.tasks.benchmarks.split import Split, double_ids, key_of
from hificl.tasks.protocol import Protocol

_CATEGORIES = (*PERCEPTION, *COGNITION)
_FOLDERS = ("", "MME_Benchmark_release_version", "MME_Benchmark_release_version/MME_Benchmark")
_SUFFIXES = (".jpg", ".png", ".jpeg")
_PAGE = "the MME benchmark of BradyFU, on request by its form"


def _key(row: Row) -> str:
    return f"{fields.name(row, 'question_id')}/{fields.one_of(row, 'answer', ('Yes', 'No')).lower()}"


def _example(row: Row, images: Sequence[ImageSource], split: str) -> Example:
    pair, answer = fields.name(row, "question_id"), fields.one_of(row, "answer", ("Yes", "No"))
    meta = {
        "category": fields.one_of(row, "category", _CATEGORIES),
        "pair": pair,
        "image_key": f"mme:{pair}",
    }
    return Example(f"mme/{split}/{_key(row)}", images, fields.text(row, "question"), [answer], meta)


def _open_raw(root: Root, split: str) -> Split | None:
    rows = [row for category in sorted(_CATEGORIES) for row in _category_rows(root, category)]
    if not rows:
        return None

    def example(position: int) -> Example:
        row = rows[position]
        if "question" not in row.cells:
            raise InputError(f"{row.place}: is no question, tab, answer; there are two such lines in every file")
        return _example(row, [_image(root, row)], split)

    return Split(
        split,
        "raw",
        len(rows),
        example,
        lambda position: rows[position].place,
        double_ids(
            [key_of(row, _key) if "question" in row.cells else row.place for row in rows], lambda at: rows[at].place
        ),
    )


def _category_rows(root: Root, category: str) -> Iterator[Row]:
    """Read the text files of a subtask: one per image, two lines of question, tab and answer."""
    folder = next((found for name in _FOLDERS if (found := root.folder / name / category).is_dir()), None)
    if folder is None:
        return
    texts = folder / "questions_answers_YN"
    for file in sorted((texts if texts.is_dir() else folder).glob("*.txt")):
        name = f"{category}/{file.name}"
        path = path_inside(str(file.relative_to(root.folder)), root.folder, name)
        try:
            lines = [line for line in read_text(path).split("\n") if line.strip()]
        except InputError as error:
            raise InputError(f"{category}/{error}" if str(error).startswith(file.name) else str(error)) from error
        image = _image_name(folder, file.stem)
        for number, line in enumerate(lines, start=1):
            parts = [part.strip() for part in line.split("\t") if part.strip()]
            cells = {"question_id": f"{category}/{image}", "category": category, "folder": str(folder)}
            if len(parts) == 2 and len(lines) == 2:
                cells |= {"question": parts[0], "answer": parts[1]}
            yield Row(f"{name}: line {number}", cells)


def _image_name(folder: Path, stem: str) -> str:
    for suffix in _SUFFIXES:
        if any((folder / part / f"{stem}{suffix}").exists() for part in ("images", ".")):
            return f"{stem}{suffix}"
    return f"{stem}{_SUFFIXES[0]}"


def _image(root: Root, row: Row) -> Path:
    folder = Path(row.cells["folder"]).relative_to(root.folder)
    name = Path(row.cells["question_id"]).name
    inner = Root(root.folder, root.folder)
    return inner.image(row, "image", [str(folder / "images" / name), str(folder / name)])


MME = Benchmark(
    name="mme",
    description="Yes/no questions in pairs about one image, perception and cognition",
    license="for research only",
    source="MME, Fu et al. 2023",
    metric="yes_no_accuracy",
    kind="yes_no",
    files=tuple(SourceFile(f"{category}/", ("test",), _PAGE, _FOLDERS) for category in _CATEGORIES),
    open_raw=_open_raw,
    mirrors=(
        Columns({"question_id": "question_id", "question": "question", "answer": "answer", "category": "category"}),
    ),
    mirror_splits={"test": ("test",)},
    key_fields=("question_id", "answer"),
    key=_key,
    example=_example,
    counts={"test": 2_374},
    protocols={
        "hificl": Protocol(
            name="hificl",
            description="HiFICL's code: the first 1,000 questions in file order to learn from, all others scored",
            support_split="test",
            query_split="test",
            support_size=1000,
        ),
        "evaluation": Protocol("evaluation", "All 2,374 questions; no support set", None, "test"),
    },
)
"""The benchmark's entry; ids are ``mme/test/code_reasoning/0020.png/yes``."""
