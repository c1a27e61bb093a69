"""The table of a quickstart, what it says in words, and three of its questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from hificl.cli.report import printable

if TYPE_CHECKING:
    from rich.console import Console

    from hificl.quickstart import Outcome

Row = Mapping[str, Any]

TITLES = {"zero_shot": "zero-shot", "icl": "{shots}-shot", "lora": "LoRA", "hificl": "HiFICL"}
PICTURE_COLUMNS = 16
"""Width of a picture in the terminal, in characters; each shows two pixels, one above the other."""


def title(method: str, shots: int, control: str | None) -> str:
    """Name of a row for people."""
    name = TITLES[method].format(shots=shots)
    return f"{name}, random LM" if control else name


def show_outcome(screen: Console, outcome: Outcome) -> None:
    """Print the table, the reading and the examples; pictures only where the terminal has the colours."""
    rows = outcome.summary["rows"]
    screen.print(_table(outcome.summary, outcome.floors))
    screen.print()
    for sentence in reading(rows):
        screen.print(sentence)
    screen.print()
    for example in outcome.examples:
        _show_example(screen, outcome, example)
    screen.print(f"summary   {outcome.folder / 'summary.json'}", soft_wrap=True)
    screen.print(f"adapter   {outcome.folder / 'hificl' / 'adapter'}  (reloaded: same answers)", soft_wrap=True)
    screen.print(f"pictures  {outcome.folder / 'examples' / 'examples.md'}", soft_wrap=True)


def _table(summary: Mapping[str, Any], floors: Mapping[str, Mapping[str, float]]) -> Table:
    table = Table(
        title=f"{summary['task']} on {summary['backbone']}, {summary['train_size']} training questions",
        title_justify="left", caption_justify="left",
        box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0),
    )  # fmt: skip
    table.add_column("method", no_wrap=True)
    for subset in ("open questions", "all questions"):
        table.add_column(subset, no_wrap=True)
    for name in ("weights", "train", "answer"):
        table.add_column(name, justify="right")
    rows = summary["rows"]
    for row in rows:
        if row["subset"] != "open":
            continue
        everything = next(other for other in rows if other["subset"] == "all" and _key(other) == _key(row))
        trained = row["train_seconds"]
        table.add_row(
            title(row["method"], row["shots"], row["control"]),
            _score(row),
            _score(everything),
            f"{row['trainable_parameters']:,}" if row["trainable_parameters"] else "-",
            "-" if trained is None else f"{trained:.0f} s",
            f"{1000 * row['seconds_per_answer']:.0f} ms",
        )
    table.add_section()
    for name, words in (("blind", "blind prior"), ("majority", "majority answer")):
        table.add_row(words, *(f"{floors[subset][name]:4.1f}" for subset in ("open", "all")), "-", "-", "-")
    table.caption = (
        "Exact match in percent [95 % interval over questions]; trained weights;\n"
        "seconds of training; time per answer. The last two rows see no image."
    )
    return table


def _key(row: Row) -> tuple[Any, ...]:
    return row["method"], row["shots"], row["control"], row["seed"]


def _score(row: Row) -> str:
    if row["score"] is None:
        return "-"
    low, high = row["score_ci95"]
    return f"{row['score']:4.1f} [{low:.1f}, {high:.1f}]"


def reading(rows: Sequence[Row]) -> list[str]:
    """Say what the open questions show, in sentences made from the numbers alone.

    Args:
        rows: The rows of a summary.
    """
    scored = [row for row in rows if row["subset"] == "open" and row["score"] is not None]
    by_title = {title(row["method"], row["shots"], row["control"]): row for row in scored}
    plain = [row for row in scored if row["control"] is None]
    sentences = []
    if {"zero-shot", "8-shot"} <= by_title.keys():
        sentences.append(_demonstrations(by_title["zero-shot"], by_title["8-shot"]))
    if len(plain) > 1:
        sentences.append(_winner(plain))
    control = by_title.get(title("hificl", 0, "random_lm"))
    if control is not None and "HiFICL" in by_title:
        sentences.append(_control(by_title["HiFICL"], control))
    sentences.append("This is one seed of a small model; the intervals are over questions, not over seeds.")
    return sentences


def _demonstrations(zero: Row, eight: Row) -> str:
    change = eight["score"] - zero["score"]
    direction = f"{abs(change):.1f} points {'above' if change > 0 else 'below'}" if change else "level with"
    return f"On the open questions, 8 demonstrations are {direction} none; {_intervals(zero, eight)}."


def _winner(plain: Sequence[Row]) -> str:
    first, second = sorted(plain, key=lambda row: -row["score"])[:2]
    names = [title(row["method"], row["shots"], None) for row in (first, second)]
    if first["score"] == second["score"]:
        return f"{names[0]} and {names[1]} share the highest score, {first['score']:.1f}."
    verdict = f"{names[0]} scores highest ({first['score']:.1f}), then {names[1]} ({second['score']:.1f})"
    told = "so this run does not tell the two apart" if _overlap(first, second) else "so the order is clear here"
    return f"{verdict}; {_intervals(first, second)}, {told}."


def _control(hificl: Row, control: Row) -> str:
    gap = hificl["score"] - control["score"]
    start = f"The control, same vision tower and training on a random language model, reaches {control['score']:.1f}"
    if gap <= 0:
        return f"{start}, no less than HiFICL ({hificl['score']:.1f}): the score needs no trained language model."
    if _overlap(hificl, control):
        return f"{start}, {gap:.1f} points below HiFICL, but {_intervals(hificl, control)}: no clear gap."
    return f"{start}, {gap:.1f} points below HiFICL: so much takes the trained language model."


def _overlap(one: Row, other: Row) -> bool:
    (low, high), (other_low, other_high) = one["score_ci95"], other["score_ci95"]
    return bool(low <= other_high and other_low <= high)


def _intervals(one: Row, other: Row) -> str:
    return "their intervals overlap" if _overlap(one, other) else "their intervals do not overlap"


def _show_example(screen: Console, outcome: Outcome, example: Mapping[str, Any]) -> None:
    screen.print(f"{example['image']}  {example['question']}  (answer: {example['answer']})")
    if screen.color_system in ("256", "truecolor") and not screen.no_color:
        screen.print(_picture(outcome.folder / example["image"]))
    rows = [row for row in outcome.summary["rows"] if row["subset"] == "all"]
    names = [title(row["method"], row["shots"], row["control"]) for row in rows]
    width = max(map(len, names))
    for name, text in zip(names, example["predictions"].values(), strict=True):
        screen.print(f"    {name:<{width}}  {printable(text) or '(nothing)'}", soft_wrap=True)
    screen.print()


def _picture(path: Any) -> Text:
    """Half blocks in the colours of the pixels."""
    from PIL import Image

    with Image.open(path) as image:
        rows = round(PICTURE_COLUMNS * image.height / image.width / 2)
        pixels = image.convert("RGB").resize((PICTURE_COLUMNS, 2 * rows)).tobytes()
    colours = ["#" + pixels[start : start + 3].hex() for start in range(0, len(pixels), 3)]
    text = Text()
    for row in range(rows):
        text.append("    ")
        for column in range(PICTURE_COLUMNS):
            above = 2 * row * PICTURE_COLUMNS + column
            text.append("\u2580", style=f"{colours[above]} on {colours[above + PICTURE_COLUMNS]}")
        text.append("\n")
    return text
