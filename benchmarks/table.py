"""The table of all rows, from the records alone: ``python -m benchmarks.table`` writes the CSV and prints Markdown."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.rows import RESULTS, read_rows
from hificl.errors import HificlError
from hificl.records import write_atomic

CSV = Path("benchmarks/speed.csv")
COLUMNS = (
    "row", "device", "hardware", "threads", "settings", "quantity", "subject", "rival", "value", "low", "high",
    "count", "unit", "target", "met", "note", "subject_seconds", "rival_seconds", "torch", "transformers",
    "peft", "commit", "date", "record",
)  # fmt: skip


def settings_text(record: Mapping[str, Any]) -> str:
    """Return the settings of a record in one line."""
    return " ".join(f"{name}={value}" for name, value in record["config"]["settings"].items())


def target_text(comparison: Mapping[str, Any]) -> str:
    """Return a target such as ``<= 1.05``; empty where there is none."""
    target = comparison["target"]
    return "" if target is None else f"{'>=' if target['at_least'] else '<='} {target['bound']:g}"


def verdict(comparison: Mapping[str, Any]) -> str:
    """Return what the target says about a number: met, MISSED, or reported where there is no target."""
    return {None: "reported", True: "met", False: "MISSED"}[comparison["met"]]


def value_text(comparison: Mapping[str, Any]) -> str:
    """Return median and quartiles, the latter where there are several readings."""
    value, unit = comparison["value"], {"s": " s"}.get(comparison["unit"], "")
    spread = f" [{value['low']:.3f}, {value['high']:.3f}]" if value["count"] > 1 else ""
    return f"{value['median']:.3f}{unit}{spread}"


def _names(comparison: Mapping[str, Any]) -> str:
    against = f" / {comparison['rival']}" if comparison["rival"] else ""
    return f"{comparison['quantity']}: {comparison['subject']}{against}"


def lines(record: Mapping[str, Any]) -> list[str]:
    """Return what a script prints about a record: one line of settings, one per number."""
    config = record["config"]
    found = [f"{config['row']} on {config['device']}: {settings_text(record)}"]
    for one in record["volatile"]["comparisons"]:
        parts = [f"  {_names(one)} = {value_text(one)}", target_text(one), verdict(one), one["note"]]
        found.append("  ".join(part for part in parts if part))
    return found


def table_rows(rows: Sequence[tuple[Path, Mapping[str, Any]]], root: Path) -> list[dict[str, Any]]:
    """Return one line of the CSV per number; ``root`` is what paths are relative to."""
    found = []
    for path, record in rows:
        config, environment, volatile = record["config"], record["environment"], record["volatile"]
        timing = volatile["timing"]
        for one in volatile["comparisons"]:
            values = (
                config["row"], config["device"], config["hardware"], config["threads"], settings_text(record),
                one["quantity"], one["subject"], one["rival"],
                *(f"{one['value'][name]:.6g}" for name in ("median", "low", "high")), one["value"]["count"],
                one["unit"], target_text(one), one["met"], one["note"],
                *(f"{timing[name]['median']:.6g}" if name in timing else "" for name in (one["subject"], one["rival"])),
                *(environment[name] for name in ("torch", "transformers", "peft", "commit")), volatile["date"],
                path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix(),
            )  # fmt: skip
            found.append(dict(zip(COLUMNS, values, strict=True)))
    return found


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the CSV; an unknown value is an empty field."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def markdown(rows: Sequence[tuple[Path, Mapping[str, Any]]]) -> str:
    """Return the numbers as a Markdown table."""
    found = ["| row | device | setting | number | value | target | |", "|---|---|---|---|---|---|---|"]
    for _, record in rows:
        config = record["config"]
        for one in record["volatile"]["comparisons"]:
            cells = (
                config["row"], config["hardware"], settings_text(record), _names(one), value_text(one),
                target_text(one), verdict(one),
            )  # fmt: skip
            found.append(f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |")
    return "\n".join(found) + "\n"


def main(words: Sequence[str] | None = None) -> int:
    """Draw the table; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=__doc__)
    parser.add_argument("--records", type=Path, default=RESULTS, help=f"folder of the rows (default: {RESULTS})")
    parser.add_argument("--csv", type=Path, default=CSV, help=f"the CSV to write (default: {CSV})")
    options = parser.parse_args(words)
    try:
        rows = read_rows(options.records)
        if not rows:
            print(f"error: {options.records}: no rows yet; run python -m benchmarks first.", file=sys.stderr)
            return 2
        write_atomic(options.csv, csv_text(table_rows(rows, Path())).encode())
    except HificlError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(markdown(rows), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
