"""``hificl predict``: answer one question about images, or a file of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hificl.cli import options
from hificl.cli.eval import open_subject
from hificl.cli.report import Report, printable, reporting
from hificl.cli.settings import column_names, read_settings
from hificl.errors import InputError

if TYPE_CHECKING:
    from hificl.backbones import Backbone
    from hificl.data import Example
    from hificl.run import Run


@dataclass(frozen=True)
class PredictOptions:
    """The keys of a recipe file for predictions."""

    adapter: str | None = None
    model: str | None = None
    dtype: str | None = None
    image: list[str] | None = None
    question: str | None = None
    data: str | None = None
    images: str | None = None
    columns: dict[str, str] | None = None
    output: str | None = None
    batch_size: int | None = None
    compile: bool = False


def command(
    words: options.Words = None,
    adapter: options.Adapter = None,
    model: options.Model = None,
    dtype: options.Dtype = None,
    image: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Image of one question; repeat for several.", show_default=False),
    ] = None,
    question: Annotated[str | None, typer.Option(help="One question.", show_default=False)] = None,
    data: options.Data = None,
    images: options.Images = None,
    columns: options.Columns = None,
    output: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="JSON Lines with the answers; default: stdout.", show_default=False),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Questions answered together; default: what fits.", show_default=False)
    ] = None,
    compile: options.Compile = None,
    as_json: options.Json = False,
) -> None:
    """Answer one question, or every row of a file (answers are not needed there).

    Example: hificl predict --adapter runs/rows-hificl --image cat.png --question "What is this?"
    """
    given = {
        "adapter": adapter, "model": model, "dtype": dtype, "image": image or None, "question": question, "data": data,
        "images": images, "columns": column_names(columns), "output": output, "batch_size": batch_size,
        "compile": compile,
    }  # fmt: skip
    with reporting(as_json) as report:
        chosen, _ = read_settings(PredictOptions, words, given)
        examples = _examples(chosen)
        subject = open_subject(chosen.adapter, chosen.model, chosen.dtype)
        _predict(report, chosen, subject, examples)


def _examples(chosen: PredictOptions) -> list[Example]:
    from hificl.cli.inputs import one_of, read_examples
    from hificl.data import Example

    if one_of(question=chosen.question, data=chosen.data) == "data":
        if chosen.image:
            raise InputError("--image belongs to --question; in FILE every row names its own images.")
        return read_examples(chosen.data or "", chosen.images, chosen.columns, require_answers=False)
    return [Example(id="1", images=chosen.image or [], question=chosen.question or "", answers=[])]


def _predict(report: Report, chosen: PredictOptions, subject: Backbone | Run, examples: list[Example]) -> None:
    from hificl.backbones import Backbone
    from hificl.evaluation import generate_answers
    from hificl.records import write_atomic

    backbone = subject if isinstance(subject, Backbone) else subject.backbone
    made = generate_answers(backbone, subject.model, examples, batch_size=chosen.batch_size, compile=chosen.compile)
    answers = made.texts
    rows: list[dict[str, Any]] = [
        {"id": example.id, "question": example.question, "prediction": answer}
        for example, answer in zip(examples, answers, strict=True)
    ]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if chosen.output is not None:
        write_atomic(chosen.output, lines.encode())
        report.result({"output": chosen.output, "answers": len(rows)}, lambda screen: None)
        report.note(f"{len(rows)} answers in {chosen.output}")
    elif report.as_json:
        report.result(rows if chosen.data is not None else rows[0], lambda screen: None)
    elif chosen.data is not None:
        print(lines, end="", file=report.stdout)
    else:
        print(printable(answers[0]), file=report.stdout)
