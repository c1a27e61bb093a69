"""What commands work on, read on their behalf: rows, tasks, backbones, adapters; libraries kept quiet meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hificl.cli.settings import nearest
from hificl.errors import InputError

if TYPE_CHECKING:
    from hificl.backbones import Backbone
    from hificl.data import Example
    from hificl.run import Run
    from hificl.tasks import Task


def read_examples(
    data: str, images: str | None, columns: Mapping[str, str] | None, *, require_answers: bool = True
) -> list[Example]:
    """Read rows; arguments and errors are those of :func:`hificl.data.read_rows`."""
    from hificl.data import read_rows

    return read_rows(data, images_root=images, columns=columns, require_answers=require_answers)


def find_task(name: str) -> Task:
    """Return a task by name.

    Raises:
        InputError: There is none of that name.
    """
    from hificl.tasks import TASKS

    if name not in TASKS:
        raise InputError(f"unknown task {name!r}{nearest(name, TASKS)}")
    return TASKS[name]


def one_of(**given: object) -> str:
    """Return the name of the only argument that is not None.

    Raises:
        InputError: None or several of them are given.
    """
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        shown = " or ".join(f"--{name}" for name in given)
        found = f"{' and '.join(f'--{name}' for name in names)} were both given" if names else "neither was given"
        raise InputError(f"give {shown}: {found}.")
    return names[0]


def open_backbone(model: str, dtype: str | None = None) -> Backbone:
    """Load a backbone without the progress bars and remarks of the libraries."""
    quiet_libraries()
    from hificl.backbones import load_backbone

    return load_backbone(model, dtype=dtype)


def open_adapter(adapter: str, dtype: str | None = None) -> Run:
    """Load an adapter with its base, likewise."""
    quiet_libraries()
    from hificl.run import load

    return load(adapter, dtype=dtype)


def quiet_libraries() -> None:
    """Show only errors of transformers: its remarks are about its own defaults, and its bars would mix with ours."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
