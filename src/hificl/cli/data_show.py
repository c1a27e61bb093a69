"""``hificl data show``: examples of a task, the prompts that a family of models would see, and their images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hificl.cli import options
from hificl.cli.report import printable, reporting
from hificl.cli.settings import column_names, nearest
from hificl.cli.task_data import DataOptions, Rows, read_rows
from hificl.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from hificl.backbones import Family
    from hificl.data import Example


@dataclass(frozen=True)
class ShowOptions(DataOptions):
    """What to read and how much of it to show."""

    count: int = 4
    shots: int = 0
    model: str = "embedded"
    prompt: str = "default"


def command(
    task: Annotated[str, typer.Argument(metavar="TASK", help="A task; see `hificl list tasks`.")],
    root: options.Root = None,
    protocol: options.Protocol = None,
    images: options.Images = None,
    columns: options.Columns = None,
    on_bad: options.OnBad = None,
    support_size: options.SupportSize = None,
    seed: options.Seed = None,
    count: Annotated[int, typer.Option(min=1, max=100, help="Rows to show.")] = 4,
    shots: Annotated[int, typer.Option(min=0, help="Demonstrations in every prompt.")] = 0,
    model: Annotated[
        str, typer.Option(metavar="FAMILY", help="Family whose prompts are shown; see `hificl list backbones`.")
    ] = "embedded",
    prompt: Annotated[str, typer.Option(metavar="FORM", help="default or official.")] = "default",
    output: Annotated[
        str | None, typer.Option(metavar="FILE", help="PNG that gets the images with captions.", show_default=False)
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Show scored rows of a task with their answers and the text of their prompts; images go to a contact sheet.

    Turns of a chat form are shown one per line; the marks around them are those of the checkpoint's own template.

    Example: hificl data show coco_captions --root coco --model idefics2 --prompt official --output sheet.png
    """
    with reporting(as_json) as report:
        chosen = ShowOptions(
            task=task, root=root, protocol=protocol, images=images, columns=column_names(columns),
            on_bad=on_bad.value if on_bad else "fail", support_size=support_size, seed=seed, count=count, shots=shots,
            model=model, prompt=prompt,
        )  # fmt: skip
        family = _family(chosen.model)
        rows = read_rows(chosen)
        shown = rows.queries[: chosen.count]
        values = [_value(chosen, family, rows, example) for example in shown]
        if output is not None:
            from hificl.cli.contact_sheet import write_contact_sheet

            written = write_contact_sheet(output, shown)
            report.note(f"{written} images in {output}")
        report.result(values, lambda screen: _show(screen, values))


def _family(name: str) -> Family:
    from hificl.backbones import BACKBONES

    for family in BACKBONES.values():
        if name == family.name or name in family.hub_ids:
            return family
    raise InputError(f"unknown family {name!r}{nearest(name, BACKBONES)}")


def _value(chosen: ShowOptions, family: Family, rows: Rows, example: Example) -> dict[str, Any]:
    return {
        "id": example.id,
        "question": example.question,
        "answers": list(example.answers),
        "images": len(example.images),
        "meta": {name: value for name, value in example.meta.items() if isinstance(value, str | int | float | bool)},
        "prompt": _prompt(chosen, family, rows, example),
    }


def _prompt(chosen: ShowOptions, family: Family, rows: Rows, example: Example) -> str:
    """The text of the prompt, as evaluation renders it, before the processor puts image tokens in."""
    from hificl.backbones.forms import find_form
    from hificl.backbones.prompts import render
    from hificl.backbones.rounds import rounds_of
    from hificl.data import choose_demonstrations

    form = find_form(family, chosen.prompt, rows.kind, has_template=True)
    demonstrations = choose_demonstrations(rows.support, example, chosen.shots, rows.seed)
    return render(form, rounds_of(form, example, demonstrations), _turns)


def _turns(messages: list[dict[str, Any]], add_generation_prompt: bool) -> str:
    """A chat as text, in the place of the template of a checkpoint."""
    lines = []
    for message in messages:
        parts = ["<image>" if part["type"] == "image" else part["text"] for part in message["content"]]
        lines.append(f"[{message['role']}] {' '.join(part for part in parts if part)}")
    return "\n".join([*lines, "[assistant]"] if add_generation_prompt else lines)


def _show(screen: Console, values: list[dict[str, Any]]) -> None:
    for value in values:
        answers = value["answers"]
        more = f" (and {len(answers) - 1} more)" if len(answers) > 1 else ""
        screen.print(f"{value['id']}: {printable(answers[0])}{more}", soft_wrap=True)
        for line in value["prompt"].split("\n"):
            screen.print(f"    {printable(line)}", soft_wrap=True)
        screen.print()
