"""Checking a folder before anything is run on it: files, counts, every row, a few images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from hificl.data import load_image
from hificl.errors import InputError
from hificl.tasks.benchmarks.benchmark import Benchmark, SourceFile, open_split
from hificl.tasks.benchmarks.loading import Folder
from hificl.tasks.benchmarks.root import Root
from hificl.tasks.benchmarks.split import Split, as_skipped, checked_example

MAX_PROBLEMS = 100
"""Problems that a report lists; the others are only counted."""


@dataclass(frozen=True)
class FileReport:
    """One file or folder of the official layout: whether it is there, its bytes, where it comes from."""

    name: str
    present: bool
    bytes: int | None
    origin: str


@dataclass(frozen=True)
class SplitReport:
    """One split: how it was read, its rows beside the official number (None: not known), and how many are bad."""

    split: str
    layout: Literal["raw", "parquet", "missing", "damaged"]
    rows: int | None
    official: int | None
    bad: int

    @property
    def matches(self) -> bool | None:
        """Whether the number of rows is the official one; None where either is not known."""
        return None if self.rows is None or self.official is None else self.rows == self.official


@dataclass(frozen=True)
class ImageReport:
    """One decoded sample image: its size, or why it could not be read."""

    id: str
    width: int | None
    height: int | None
    error: str | None = None


@dataclass(frozen=True)
class Problem:
    """What is wrong at a place: a file, or a row and field of one."""

    place: str
    reason: str


@dataclass(frozen=True)
class Report:
    """What :func:`validate` found; ``ok`` when nothing that is there is wrong and at least one split is there."""

    task: str
    root: str
    files: tuple[FileReport, ...]
    splits: tuple[SplitReport, ...]
    images: tuple[ImageReport, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether at least one split can be read, without a bad row, a damaged file or an unreadable sample image."""
        readable = any(split.layout in ("raw", "parquet") for split in self.splits)
        return readable and not self.problems and not any(image.error for image in self.images)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON values, with ``ok`` and the ``matches`` of every split."""
        splits = [asdict(split) | {"matches": split.matches} for split in self.splits]
        return {**asdict(self), "splits": splits, "ok": self.ok}


def validate(
    benchmark: Benchmark,
    root: Folder,
    *,
    images: Folder = None,
    columns: Mapping[str, str] | None = None,
    samples: int = 5,
) -> Report:
    """Check every file, every row and some images of a data set; bad data are reported, not raised.

    Args:
        benchmark: The benchmark.
        root: Folder of the data set.
        images: Folder of the images where it is not ``root``.
        columns: Own column names of a mirror by field.
        samples: Images to decode per split, evenly spread over it.

    Raises:
        InputError: ``root`` or ``images`` is no folder, or ``samples`` is negative.
    """
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 0:
        raise InputError(f"samples must be an integer of at least 0, got {samples!r}")
    folders = Root.open(root, images)
    splits: list[SplitReport] = []
    pictures: list[ImageReport] = []
    problems: list[Problem] = []
    warnings: list[str] = []
    for name in benchmark.splits:
        official = benchmark.counts.get(name)
        try:
            split = open_split(benchmark, folders, name, columns)
        except InputError as error:
            splits.append(SplitReport(name, "damaged", None, official, 0))
            problems.append(Problem(f"split {name}", str(error)))
            continue
        if split is None:
            splits.append(SplitReport(name, "missing", None, official, 0))
            continue
        found = list(_bad_rows(split))
        problems += found[: MAX_PROBLEMS - len(problems)]
        splits.append(SplitReport(name, split.layout, split.rows, official, len(found)))
        pictures += _decoded(split, samples)
        warnings += [one for one in split.warnings if one not in warnings]
    files = tuple(_file_report(folders, file) for file in benchmark.files)
    return Report(
        benchmark.name, str(folders.folder), files, tuple(splits), tuple(pictures), tuple(problems), tuple(warnings)
    )


def _bad_rows(split: Split) -> Iterator[Problem]:
    for position in range(split.rows):
        try:
            checked_example(split, position, decode=False)
        except InputError as error:
            bad = as_skipped(split.place(position), error)
            yield Problem(bad.place, bad.reason)


def _decoded(split: Split, samples: int) -> Iterator[ImageReport]:
    count = min(samples, split.rows)
    for number in range(count):
        position = number * split.rows // count
        place = split.place(position)
        try:
            example = checked_example(split, position, decode=False)
        except InputError:
            continue  # it is among the problems already
        try:
            for image in example.images:
                width, height = load_image(image, place=place).size
                yield ImageReport(example.id, width, height)
        except InputError as error:
            yield ImageReport(example.id, None, None, str(error))


def _file_report(root: Root, file: SourceFile) -> FileReport:
    if file.name.endswith("/"):
        bases = (root.images, root.folder)
        present = any((base / part / file.name).is_dir() for base in bases for part in file.under)
        return FileReport(file.name, present, None, file.origin)
    path = root.find(file.name)
    return FileReport(file.name, path is not None, None if path is None else path.stat().st_size, file.origin)
