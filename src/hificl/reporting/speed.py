"""Rows of the speed suite: targets, measurements and verdicts, as a section of a report or a page of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hificl.reporting import numbers
from hificl.reporting.document import Cell, Column, Link, Section, Table, Text, empty_cell, joined
from hificl.reporting.figures import Dot, Dots, Figure, Lines, Reference, Series
from hificl.reporting.scores import without_empty_columns

Rows = Sequence[tuple[Path, Mapping[str, Any]]]
"""Records with their paths."""

TITLE = "Speed and memory, against the rivals"
_VERDICTS = {True: "met", False: "missed", None: "reported"}
_HIDDEN_SETTINGS = {"points"}
_SIZES = {"hidden", "layers", "heads", "kv_heads", "head_dim", "intermediate", "vocabulary", "dtype"}


def speed_section(rows: Rows) -> Section:
    """Draw the rows of the speed suite: verdicts in words, a table, ratios with quartiles, and the scaling curves.

    Args:
        rows: Records of ``kind`` "speed" with their paths, as ``benchmarks.rows.read_rows`` returns them.
    """
    lines = [_line(rows, path, record, one) for path, record in rows for one in record["volatile"]["comparisons"]]
    heads = (
        Column("row", numeric=False), Column("device", numeric=False), Column("setting", numeric=False),
        Column("number", numeric=False), Column("measured"), Column("target"), Column("verdict", numeric=False),
        Column("note", numeric=False),
    )  # fmt: skip
    note = (
        "Medians with quartiles over rounds in which all rivals run in turns. Ratios are subject over rival. "
        "A target that is missed is shown as missed; numbers without a target are only reported."
    )
    judged = tuple(line for line in lines if line[6].text != "reported")
    reported = tuple(line for line in lines if line[6].text == "reported")
    tables = [Table("speed_targets", "Numbers with a target", heads, judged, (note,))] if judged else []
    if reported:
        tables.append(
            Table("speed_reported", "Numbers without a target", heads, reported, (note,), folded=bool(judged))
        )
    tables = [without_empty_columns(table) for table in tables]
    figures: list[Figure] = [*_target_figures(rows), *_scaling_figures(rows)]
    return Section(
        "speed",
        TITLE,
        "Is an adapted model as fast as the frozen one?",
        (),
        tuple(_facts(rows)),
        tuple(figures),
        tuple(tables),
    )


def _facts(rows: Rows) -> list[Text]:
    judged = [
        (path, record, one)
        for path, record in rows
        for one in record["volatile"]["comparisons"]
        if one["met"] is not None
    ]
    if not judged:
        return [("No number here has a target.",)]
    missed = [line for line in judged if not line[2]["met"]]
    devices = joined([(name,) for name in sorted({str(record["config"]["hardware"]) for _, record in rows})])
    facts: list[Text] = [(f"{len(judged) - len(missed)} of {len(judged)} targets are met, measured on ", *devices, ".")]
    if missed:
        parts = [_missed(name, judged) for name in dict.fromkeys(one[1]["config"]["row"] for one in missed)]
        facts.append((f"{len(missed)} {'is' if len(missed) == 1 else 'are'} missed: ", *joined(parts), "."))
    return facts


def _missed(name: str, judged: Sequence[tuple[Path, Mapping[str, Any], Mapping[str, Any]]]) -> Text:
    """Say how many numbers of a row miss their targets, and the one that is furthest from its own."""
    own = [(path, record, one) for path, record, one in judged if record["config"]["row"] == name]
    missed = [line for line in own if not line[2]["met"]]
    path, record, one = max(missed, key=lambda line: abs(line[2]["value"]["median"] / line[2]["target"]["bound"] - 1))
    few = "" if len(missed) == 1 else ", the furthest"
    count = f" ({len(missed)} of {len(own)}{few}: " if len(own) > 1 else " ("
    what = f"{_names(one)} at {_short([line[:2] for line in own], path, record)} "
    return (
        name.replace("_", " ") + count + what,
        Link(_measured(one), path, _setting(record)),
        f" for {_target(one)})",
    )


def _line(rows: Rows, path: Path, record: Mapping[str, Any], one: Mapping[str, Any]) -> tuple[Cell, ...]:
    value, config = one["value"], record["config"]
    several = value["count"] > 1
    low, high = (value["low"], value["high"]) if several else (None, None)
    verdict = _VERDICTS[one["met"]]
    return (
        Cell(config["row"].replace("_", " "), config["row"]),
        Cell(str(config["hardware"]), str(config["hardware"])),
        Cell(_short(rows, path, record), _setting(record), title=_setting(record)),
        Cell(_names(one), _names(one)),
        Cell(
            _measured(one), value["median"], low, high, path,
            f"median and quartiles of {value['count']} rounds" if several else "counted once",
        ),
        Cell(_target(one), one["target"]["bound"]) if one["target"] else empty_cell(),
        Cell(verdict, verdict, strong=verdict == "missed"),
        Cell(one["note"], one["note"]),
    )  # fmt: skip


def _target_figures(rows: Rows) -> list[Dots]:
    """Ratios that have a target, one figure for each script and bound, so that the target is one line."""
    found: dict[tuple[str, float, bool], list[Dot]] = {}
    for path, record in rows:
        for one in record["volatile"]["comparisons"]:
            if one["target"] is None or one["unit"] != "ratio":
                continue
            value = one["value"]
            against = "" if one["subject"] == "hificl" else f" ({one['subject']})"
            dot = Dot(
                f"{_short(rows, path, record)}: {one['quantity']}{against}", value["median"], value["low"],
                value["high"], "met" if one["met"] else "missed",
            )  # fmt: skip
            key = record["config"]["row"], one["target"]["bound"], one["target"]["at_least"]
            found.setdefault(key, []).append(dot)
    figures = []
    for (row, bound, at_least), dots in found.items():
        words = f"at {'least' if at_least else 'most'} {bound:g}"
        told = "; ".join(f"{dot.label} {dot.value:.3f}" for dot in dots if dot.value is not None)
        figures.append(
            Dots(
                f"speed_{row}_{bound:g}".replace(".", "_"), f"{row.replace('_', ' ').capitalize()}: target {words}",
                f"Medians with quartiles; the target is {words}. {told}.", "ratio, median and quartiles (hollow: "
                "target missed)",
                tuple(dots), (Reference(bound, f"target {words}"),),
                log_x=max(dot.high or 0.0 for dot in dots) > 4 * bound,
            )
        )  # fmt: skip
    return figures


def _scaling_figures(rows: Rows) -> list[Lines]:
    """Seconds of a step along each axis of the scaling row, beside the plain decoder's."""
    figures = []
    for path, record in rows:
        settings, timing = record["config"]["settings"], record["volatile"].get("timing", {})
        axis, points = settings.get("axis"), settings.get("points")
        config_device = record["config"]["device"]
        if not axis or not points:
            continue
        series = []
        for name in dict.fromkeys(key.rsplit(" at ", 1)[0] for key in timing):
            spreads = [timing.get(f"{name} at {point}") for point in points]
            y, low, high = (
                tuple(None if one is None else 1e3 * one[end] for one in spreads) for end in ("median", "low", "high")
            )
            series.append(
                Series(
                    {"hificl": "HiFICL", "plain": "plain decoder"}.get(name, name),
                    tuple(map(float, points)),
                    y,
                    low,
                    high,
                    name,
                )
            )
        told = "; ".join(
            f"{one.label}: " + ", ".join(f"{value:.3g}" for value in one.y if value is not None) for one in series
        )
        figures.append(
            Lines(
                f"speed_scaling_{axis}_{path.stem[:6]}", f"Training step along {axis}, "
                f"{settings.get('decoder', config_device)}",
                f"Milliseconds of a training step along {axis} ({', '.join(map(str, points))}). {told}.",
                f"{axis} (logarithmic)", "training step, ms (logarithmic)", tuple(series), log_x=True, log_y=True,
            )
        )  # fmt: skip
    return figures


def _names(one: Mapping[str, Any]) -> str:
    against = f" / {one['rival']}" if one["rival"] else ""
    return f"{one['quantity']}: {one['subject']}{against}"


def _measured(one: Mapping[str, Any]) -> str:
    value, unit = one["value"], " s" if one["unit"] == "s" else ""
    spread = f" {numbers.interval((value['low'], value['high']), 3)}" if value["count"] > 1 else ""
    return f"{numbers.plain(value['median'], 3)}{unit}{spread}"


def _target(one: Mapping[str, Any]) -> str:
    target = one["target"]
    return f"{'≥' if target['at_least'] else '≤'}\N{NO-BREAK SPACE}{target['bound']:g}"


def _setting(record: Mapping[str, Any]) -> str:
    settings = record["config"]["settings"]
    return ", ".join(f"{name} {value}" for name, value in settings.items() if name not in _HIDDEN_SETTINGS)


def _short(rows: Rows, path: Path, record: Mapping[str, Any]) -> str:
    """The settings by which a record differs from the others of its script on the same device."""
    config = record["config"]
    alike = [
        other["config"]["settings"]
        for _, other in rows
        if (other["config"]["row"], other["config"]["hardware"]) == (config["row"], config["hardware"])
    ]
    settings = config["settings"]
    told = [
        name
        for name in settings
        if name not in _HIDDEN_SETTINGS and any(one.get(name) != settings[name] for one in alike)
    ]
    if "decoder" in told:  # its sizes follow from its name
        told = [name for name in told if name not in _SIZES]
    words = [str(settings[name]) if name == "decoder" else _words(name, settings[name]) for name in told]
    return ", ".join(words) or str(settings.get("decoder", config["device"]))


def _words(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return name if value else f"not {name}"
    shown = f"{value:,}" if isinstance(value, int) else str(value)
    return (
        f"{shown} {name.replace('_', ' ')}" if isinstance(value, int | float) else f"{name.replace('_', ' ')} {shown}"
    )
