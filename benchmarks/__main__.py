"""The suite: ``python -m benchmarks [ROW ...] [--quick]`` runs every script in a process of its own."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.catalogue import CATALOGUE, NAMES, Entry
from benchmarks.table import lines


@dataclass(frozen=True)
class Ran:
    """What a script left."""

    entry: Entry
    """The script."""

    code: int
    """Its exit code."""

    records: list[dict[str, Any]]
    """What it measured; empty when it failed."""


def remaining_text(planned: float, planned_done: float, spent: float) -> str:
    """Say how long the rest takes, from what was planned and how fast it went so far."""
    if planned_done == 0:
        return "time left is known after the first row"
    left = (planned - planned_done) * spent / planned_done
    return f"about {left / 60:.0f} min left" if left > 90 else f"about {left:.0f} s left"


def run_suite(entries: Sequence[Entry], options: Sequence[str]) -> Iterator[Ran]:
    """Run scripts one after the other, with their progress and the time left on stderr."""
    started, planned_done = time.monotonic(), 0.0
    planned = sum(entry.seconds for entry in entries)
    for number, entry in enumerate(entries, start=1):
        left = remaining_text(planned, planned_done, time.monotonic() - started)
        print(f"{number}/{len(entries)} {entry.name}: {entry.what}; {left}", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", f"benchmarks.{entry.name}", "--json", *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        yield Ran(entry, done.returncode, json.loads(done.stdout) if done.returncode == 0 else [])
        planned_done += entry.seconds


def main(words: Sequence[str] | None = None) -> int:
    """Run the suite; return 1 when a script failed (the others are run all the same)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"which scripts; all by default: {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="a try: small sizes, three rounds, nothing written")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--json", action="store_true", help="write the records to stdout, and nothing else there")
    options = parser.parse_args(words)
    unknown = [name for name in options.rows if name not in NAMES]
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(NAMES)}")
    entries = [entry for entry in CATALOGUE if not options.rows or entry.name in options.rows]
    failed, found = [], []
    for ran in run_suite(entries, ["--device", options.device, *(["--quick"] if options.quick else [])]):
        found += ran.records
        failed += [ran.entry.name] if ran.code else []
        if not options.json:
            print(*(line for record in ran.records for line in lines(record)), sep="\n", flush=True)
    if options.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    if failed:
        print(f"error: {', '.join(failed)} failed; the reason stands above.", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted; rows that were finished are kept.")
