"""What all scripts share: their options, where rows go, and how they are shown."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import FULL, QUICK, Clock, Effort, clock_for
from benchmarks.rows import RESULTS, Measurement, write_row
from benchmarks.table import lines
from hificl.errors import HificlError, InputError


@dataclass(frozen=True)
class Bench:
    """How a script is asked to measure."""

    device: torch.device
    """Where."""

    sizes: tuple[int, ...]
    """The sizes of the script, see ``Script.size_is``."""

    decoders: tuple[str, ...]
    """Names in ``DECODERS``; empty for scripts without a decoder."""

    quick: bool
    """Whether this is a try: small, few rounds, nothing written."""

    @property
    def effort(self) -> Effort:
        """How often each rival is timed."""
        return QUICK if self.quick else FULL

    @property
    def clock(self) -> Clock:
        """The clock of the device."""
        return clock_for(self.device)

    def note(self, message: str) -> None:
        """Write one line about the progress to stderr."""
        print(f"  {message}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Script:
    """One row of the table as a command."""

    name: str
    """Name in the catalogue."""

    description: str
    """For ``--help``."""

    measure: Callable[[Bench], Iterator[Measurement]]
    """Measures setting by setting."""

    size_is: str = "not used here"
    """What the numbers of ``--sizes`` are."""

    sizes: tuple[int, ...] = ()
    """Default sizes."""

    quick_sizes: tuple[int, ...] = ()
    """Those of ``--quick``."""

    decoders: tuple[str, ...] = ()
    """Decoders on the CPU."""

    cuda_decoders: tuple[str, ...] = ()
    """Decoders on a GPU."""

    quick_decoders: tuple[str, ...] = ()
    """Those of ``--quick``."""

    def bench(self, options: argparse.Namespace) -> Bench:
        """Resolve the options of the command line.

        Raises:
            InputError: The device is not here.
        """
        device = usable_device(options.device)
        usual = self.cuda_decoders if device.type == "cuda" else self.decoders
        return Bench(
            device=device,
            sizes=tuple(options.sizes or (self.quick_sizes if options.quick else self.sizes)),
            decoders=tuple(options.decoders or (self.quick_decoders if options.quick else usual)),
            quick=options.quick,
        )


def usable_device(name: str) -> torch.device:
    """Return a device that is here.

    Raises:
        InputError: It is neither ``cpu`` nor a GPU of this machine; a row of a GPU is never measured on a CPU instead.
    """
    if name != "cpu" and not (name.split(":")[0] == "cuda" and torch.cuda.is_available()):
        raise InputError(f"--device {name}: not here; use cpu, or leave the row out: a CPU cannot stand in for it.")
    return torch.device(name)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _parser(script: Script) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{script.name}", description=script.description)
    parser.add_argument("--quick", action="store_true", help="a try: small sizes, three rounds, nothing written")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--sizes", type=_positive, nargs="+", metavar="SIZE", help=f"sizes: {script.size_is}")
    parser.add_argument("--decoders", nargs="+", metavar="NAME", help="decoders of benchmarks/decoders.py")
    parser.add_argument("--output", type=Path, default=RESULTS, help=f"folder of the rows (default: {RESULTS})")
    parser.add_argument("--json", action="store_true", help="write the records to stdout, and nothing else there")
    return parser


def run(script: Script, words: Sequence[str] | None = None) -> int:
    """Measure, write and show the rows of one script; return the exit code.

    The code is 0 when everything was measured, whether or not a target is met, and 2 for wrong use.
    """
    options = _parser(script).parse_args(words)
    torch.set_num_threads(1)
    found: list[dict[str, Any]] = []
    try:
        for measurement in script.measure(script.bench(options)):
            found.append(measurement.record())
            if not options.quick:
                write_row(found[-1], options.output)
            if not options.json:
                print(*lines(found[-1]), sep="\n", flush=True)
    except HificlError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    return 0
