"""Loading a benchmark: the rows of a protocol become a support set and a query set."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hificl.data import Example
from hificl.errors import InputError
from hificl.tasks.benchmarks.benchmark import Benchmark, open_split
from hificl.tasks.benchmarks.root import Root
from hificl.tasks.benchmarks.selection import checked_seed, checked_size, drawn, parted, scored
from hificl.tasks.benchmarks.split import OnBad, Split, read_examples
from hificl.tasks.protocol import Protocol
from hificl.tasks.task import Skipped, TaskData, TaskWarning

Folder = str | os.PathLike[str] | None


@dataclass(frozen=True)
class Source:
    """Where and how a benchmark is read; what one user's options come to.

    Args:
        root: The folders.
        columns: Own column names of a mirror by field.
        on_bad: What a bad row does.
    """

    root: Root
    columns: Mapping[str, str] | None = None
    on_bad: OnBad = "fail"

    @classmethod
    def open(cls, root: Folder, images: Folder, columns: Mapping[str, str] | None, on_bad: str) -> Source:
        """Check the options.

        Raises:
            InputError: A folder is none, or ``on_bad`` is unknown.
        """
        if on_bad not in ("fail", "skip"):
            raise InputError(f"on_bad must be 'fail' or 'skip', got {on_bad!r}")
        if columns is not None and not isinstance(columns, Mapping):
            raise InputError(f"columns must map fields to column names, got {type(columns).__name__}")
        return cls(Root.open(root, images), columns, "fail" if on_bad == "fail" else "skip")

    def split(self, benchmark: Benchmark, name: str) -> Split:
        """Open a split that has to be there.

        Raises:
            InputError: It is not, or its files are damaged.
        """
        found = open_split(benchmark, self.root, name, self.columns)
        if found is None:
            files = ", ".join(file.name for file in benchmark.files if name in file.splits)
            mirrors = " or ".join(f"{one}*.parquet" for one in benchmark.mirror_splits.get(name, ()))
            raise InputError(
                f"{benchmark.name}: split {name!r} is not under {self.root.folder}: neither the official files "
                f"({files}) nor parquet files ({mirrors}); run: hificl data validate {benchmark.name} --root DIR"
            )
        return found


@dataclass
class _Collected:
    """What was read so far, apart from the examples themselves."""

    skipped: list[Skipped] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def read(self, split: Split, positions: Sequence[int], on_bad: OnBad) -> list[Example]:
        examples, skipped = read_examples(split, positions, on_bad)
        # A row without a usable split counts in every split, and is listed once.
        known = set(self.skipped)
        self.skipped += [one for one in skipped if one not in known]
        self.warnings += [one for one in split.warnings if one not in self.warnings]
        return examples

    def finished(self, benchmark: Benchmark, support: list[Example], queries: list[Example]) -> TaskData:
        if self.skipped:
            self.warnings.append(
                f"{benchmark.name}: {len(self.skipped)} bad rows were left out; a score is one over "
                f"{len(queries)} queries."
            )
        for message in self.warnings:
            warnings.warn(message, TaskWarning, stacklevel=3)
        return TaskData(support, queries, tuple(self.skipped), tuple(self.warnings))


def load_benchmark(
    benchmark: Benchmark,
    root: Folder = None,
    *,
    protocol: str = "hificl",
    seed: int | None = None,
    support_size: int | None = None,
    query_size: int | None = None,
    on_bad: str = "fail",
    images: Folder = None,
    columns: Mapping[str, str] | None = None,
) -> TaskData:
    """Read the support and query sets of a protocol.

    Args:
        benchmark: The benchmark; ``TASKS[name].load`` has it filled in.
        root: Folder of the data set: official files or the parquet files of a mirror. Nothing is downloaded.
        protocol: Key of ``Task.protocols``.
        seed: Seed of the support draw; None takes the first of the protocol. The queries do not depend on it.
        support_size: Another number of support examples than the protocol's.
        query_size: Another number of queries than the protocol's: then the first of the seeded draw.
        on_bad: ``"fail"`` stops at the first bad row. ``"skip"`` leaves bad rows out, lists them in ``skipped`` and
            decodes every image once to find the corrupt ones. A damaged file is an error either way.
        images: Folder of the images where it is not ``root``.
        columns: Own column names of a mirror by official field name, such as ``{"question": "q"}``.

    Returns:
        Examples whose images are not decoded yet. The support set is empty, with a warning, where the root
        holds no training split: then only scoring is possible.

    Warns:
        TaskWarning: For every trap in ``warnings``, see :class:`~hificl.tasks.TaskData`.

    Raises:
        InputError: A file, row or option is wrong; the message names file, row and field.
    """
    source = Source.open(root, images, columns, on_bad)
    chosen = _with_sizes(benchmark, protocol, support_size, query_size)
    draw = chosen.seeds[0] if seed is None else checked_seed(seed)
    collected = _Collected()
    support, queries = _sets(benchmark, source, chosen, draw, collected)
    shared = len({_image(one) for one in queries} & {_image(one) for one in support} - {None})
    if shared:
        collected.warnings.append(
            f"{benchmark.name}: {shared} images are in the support set and in the query set: the score is not one on "
            "unseen images."
        )
    return collected.finished(benchmark, support, queries)


def read_split(
    benchmark: Benchmark,
    root: Folder,
    split: str,
    *,
    on_bad: str = "fail",
    images: Folder = None,
    columns: Mapping[str, str] | None = None,
) -> TaskData:
    """Read all rows of a split in file order, without a support set; arguments are those of :func:`load_benchmark`.

    Warns:
        TaskWarning: The number of rows is not the official one, or another trap of this split.

    Raises:
        InputError: There is no such split, or its data are wrong.
    """
    if split not in benchmark.splits:
        raise InputError(f"{benchmark.name}: no split {split!r}; choose one of {', '.join(benchmark.splits)}")
    source = Source.open(root, images, columns, on_bad)
    opened, collected = source.split(benchmark, split), _Collected()
    queries = collected.read(opened, range(opened.rows), source.on_bad)
    return collected.finished(benchmark, [], queries)


def _sets(
    benchmark: Benchmark, source: Source, protocol: Protocol, seed: int, collected: _Collected
) -> tuple[list[Example], list[Example]]:
    split = source.split(benchmark, protocol.query_split)
    _refuse_larger(benchmark, protocol, split)
    if protocol.support_split == protocol.query_split:
        collected.warnings.append(
            f"{benchmark.name}: there is no training split; the support set is cut from the scored split "
            f"{protocol.query_split!r}, so numbers over the whole split do not compare."
        )
        try:
            ours, theirs = parted(split.rows, protocol.support_size or 1, seed)
        except InputError as error:
            raise InputError(f"{benchmark.name}: split {split.name!r} {error}") from error
        return collected.read(split, ours, source.on_bad), collected.read(split, theirs, source.on_bad)
    wanted = scored(split.rows, protocol.query_size, protocol.query_seed)
    collected.warnings += _short(benchmark, split, protocol.query_size)
    queries = collected.read(split, wanted, source.on_bad)
    # The text of the files goes before those of the next split are read.
    del split
    return _support(benchmark, source, protocol, seed, collected), queries


def _support(
    benchmark: Benchmark, source: Source, protocol: Protocol, seed: int, collected: _Collected
) -> list[Example]:
    if protocol.support_split is None:
        return []
    split = open_split(benchmark, source.root, protocol.support_split, source.columns)
    if split is None:
        collected.warnings.append(
            f"{benchmark.name}: {source.root.folder} holds no split {protocol.support_split!r} (mirrors often have the "
            "scored split alone), so the support set is empty: scoring without training or demonstrations only."
        )
        return []
    _refuse_larger(benchmark, protocol, split)
    collected.warnings += _short(benchmark, split, protocol.support_size)
    return collected.read(split, drawn(split.rows, protocol.support_size, seed), source.on_bad)


def _with_sizes(benchmark: Benchmark, name: str, support_size: object, query_size: object) -> Protocol:
    if name not in benchmark.protocols:
        raise InputError(f"{benchmark.name}: unknown protocol {name!r}; choose one of {', '.join(benchmark.protocols)}")
    chosen = benchmark.protocols[name]
    support, query = checked_size(support_size, "support_size"), checked_size(query_size, "query_size")
    if support is not None and chosen.support_split is None:
        raise InputError(f"{benchmark.name}: protocol {name!r} has no support set; leave support_size out")
    chosen = chosen if support is None else replace(chosen, support_size=support)
    return chosen if query is None else replace(chosen, query_size=query)


def _refuse_larger(benchmark: Benchmark, protocol: Protocol, split: Split) -> None:
    official = benchmark.counts.get(split.name)
    if protocol.name != "evaluation" and official is not None and split.rows > official:
        raise InputError(
            f"{benchmark.name}: protocol {protocol.name!r} needs the official split {split.name!r} of {official} rows, "
            f"but there are {split.rows}. {benchmark.larger}; use the official files"
        )


def _short(benchmark: Benchmark, split: Split, size: int | None) -> Iterator[str]:
    if size is not None and size > split.rows:
        yield (
            f"{benchmark.name}: {size} rows of split {split.name!r} are wanted and it has {split.rows}; all are taken."
        )


def _image(example: Example) -> str | None:
    key = example.meta.get("image_key")
    return key if isinstance(key, str) else None
