"""The options that several commands share, each explained once."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class OnBadRow(StrEnum):
    """What happens to a bad row of a benchmark."""

    FAIL = "fail"
    SKIP = "skip"


DATA = "Data"
MODEL = "Model"

Json = Annotated[bool, typer.Option("--json", help="Write the result as JSON to stdout, and nothing else there.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen, write nothing, exit.")]
Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SETTING",
        help="KEY=VALUE overrides, such as seed=1; before them, if wanted, a YAML file with such keys.",
        show_default=False,
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="FILE",
        help="Rows (.jsonl, .json, .csv) with image, question, answer.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
Images = Annotated[
    str | None,
    typer.Option(
        "--images",
        metavar="DIR",
        help="Folder of the images; default: that of FILE.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--columns",
        metavar="FIELD=NAME",
        help="Your name of a column, such as question=q; repeat for more.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
Task = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="NAME",
        help="A task in place of FILE; see `hificl list tasks`.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
Root = Annotated[
    str | None,
    typer.Option(
        "--root",
        metavar="DIR",
        help="Folder with the files of a benchmark; see `hificl data validate`.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
Protocol = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        metavar="NAME",
        help="Published choice of rows of a benchmark: hificl (default), stave, evaluation.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
OnBad = Annotated[
    OnBadRow | None,
    typer.Option(
        "--on-bad",
        help="Bad rows of a benchmark: fail (default), or skip and list them in the record.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
SupportSize = Annotated[
    int | None,
    typer.Option(
        "--support-size",
        help="Rows to learn from; default: as many as the task or the protocol says.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
QuerySize = Annotated[
    int | None,
    typer.Option(
        "--query-size",
        help="Rows to score; default: as many as the task or the protocol says.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
Prompt = Annotated[
    str | None,
    typer.Option(
        "--prompt",
        metavar="FORM",
        help="default, or official: what the published code renders, quirks included.",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="Frozen base: embedded (default), a folder, or a hub id.",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
Dtype = Annotated[
    str | None,
    typer.Option(
        "--dtype",
        metavar="NAME",
        help="Numbers of the frozen base: float32 (default on a CPU), bfloat16 (default on a GPU), float16.",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
Adapter = Annotated[
    str | None,
    typer.Option(
        "--adapter",
        metavar="DIR",
        help="A trained adapter or run; it names its base.",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", help="Seed of everything random; default 0, or that of the protocol.", show_default=False),
]
Compile = Annotated[
    bool | None,
    typer.Option(
        "--compile",
        help="Answer by a compiled step: pays for many questions; the first waits half a minute.",
        show_default=False,
    ),
]
