"""One split of a benchmark: counted at once, its rows made into examples only when they are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hificl.data import Example, load_image
from hificl.data.tables import Row
from hificl.errors import InputError
from hificl.tasks.task import Skipped

OnBad = Literal["fail", "skip"]
"""What a bad row does: stop with an error, or be left out and listed."""


@dataclass(frozen=True)
class Split:
    """The rows of a split in the order of its files.

    Args:
        name: Official name, such as ``val``.
        layout: Whether it was read from the official files or from parquet.
        rows: Number of rows, bad ones included, so that a bad row does not move the draw of the others.
        example: Makes the example of a position; raises InputError for a bad row.
        place: Names the row of a position in messages.
        broken: Rows that the index alone shows to be bad (two rows with one id, no annotation), by position.
        warnings: What a user of this split has to know.
    """

    name: str
    layout: Literal["raw", "parquet"]
    rows: int
    example: Callable[[int], Example]
    place: Callable[[int], str]
    broken: Mapping[int, InputError] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def read_examples(split: Split, positions: Iterable[int], on_bad: OnBad) -> tuple[list[Example], list[Skipped]]:
    """Make the examples of these rows.

    Args:
        split: The split.
        positions: Rows, in the order in which the examples are wanted.
        on_bad: ``"fail"`` raises at the first bad row, those of ``split.broken`` included wherever they are.
            ``"skip"`` leaves bad rows out and lists them, and decodes every image to find the corrupt ones.

    Raises:
        InputError: A row is bad and ``on_bad`` is ``"fail"``, or no row is left.
    """
    if on_bad == "fail":
        for position in sorted(split.broken):
            raise split.broken[position]
    examples: list[Example] = []
    skipped: list[Skipped] = []
    wanted = list(positions)
    for position in wanted:
        try:
            examples.append(checked_example(split, position, decode=on_bad == "skip"))
        except InputError as error:
            if on_bad == "fail":
                raise
            skipped.append(as_skipped(split.place(position), error))
    if wanted and not examples:
        raise InputError(
            f"{split.name}: all {len(wanted)} rows are bad, the first: {skipped[0].place}: {skipped[0].reason}"
        )
    return examples, skipped


def checked_example(split: Split, position: int, *, decode: bool) -> Example:
    """Make one example; with ``decode`` its images are read completely and given up again.

    Raises:
        InputError: The row, or with ``decode`` one of its images, is bad.
    """
    if position in split.broken:
        raise split.broken[position]
    place = split.place(position)
    try:
        example = split.example(position)
        if decode:
            for image in example.images:
                load_image(image, place=place)
    except InputError as error:
        raise error if str(error).startswith(place) else InputError(f"{place}: {error}") from error
    return example


def as_skipped(place: str, error: InputError) -> Skipped:
    """Describe a bad row; the place does not stand in the reason again."""
    return Skipped(place, str(error).removeprefix(f"{place}: "))


def double_ids(keys: Sequence[str | InputError], place: Callable[[int], str]) -> dict[int, InputError]:
    """Find the rows without a usable id, and every row but the first of those that share one.

    Args:
        keys: Id of every row, or what is wrong with it.
        place: Names a row.
    """
    first: dict[str, int] = {}
    broken: dict[int, InputError] = {}
    for position, key in enumerate(keys):
        if isinstance(key, InputError):
            broken[position] = key
        elif first.setdefault(key, position) != position:
            broken[position] = InputError(
                f"{place(position)}: the id {key!r} stands also in {place(first[key])}; give every row its own id"
            )
    return broken


def key_of(row: Row, make: Callable[[Row], str]) -> str | InputError:
    """Return the id of a row, or the error that says why it has none."""
    try:
        return make(row)
    except InputError as error:
        return error
