"""Scripts of ``benchmarks/`` as parts of a grid: each runs alone, and its rows land beside the cells."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hificl import records
from hificl.errors import HificlError, InputError, RunError
from hificl.experiments.grid import Speed

RECORD, FAILURE = "speed.json", "error.json"


def run_speed(scripts: Sequence[Speed], root: Path, *, retry_failed: bool = False) -> int:
    """Run the scripts that have no record yet, one after the other, and return how many failed.

    They need a checkout: without one each leaves an error that says so.
    """
    failed = 0
    for script in scripts:
        folder = _folder(script, root)
        if (folder / RECORD).is_file() or ((folder / FAILURE).is_file() and not retry_failed):
            continue
        try:
            records.write_json(folder / RECORD, _record(script, root))
            (folder / FAILURE).unlink(missing_ok=True)
        except HificlError as error:
            failed += 1
            told = {"type": type(error).__name__, "message": " ".join(str(error).split()), "traceback": None}
            records.write_json(folder / FAILURE, {"kind": "error", "speed": asdict(script), "error": told})
    return failed


def speed_states(scripts: Sequence[Speed], root: Path) -> list[dict[str, Any]]:
    """Return what is known of each script: its ``rows`` (paths below ``root``), or its ``error``, or neither yet."""
    return [_state(script, root) for script in scripts]


def checkout() -> Path:
    """Return the root of the checkout that is used: the working folder, or where this package lies in one.

    Raises:
        InputError: Neither holds the scripts.
    """
    places = (Path.cwd(), Path(__file__).resolve().parents[3])
    for place in places:
        if (place / "benchmarks" / "catalogue.py").is_file() and (place / "src" / "hificl").is_dir():
            return place
    raise InputError(
        f"benchmarks: neither {places[0]} nor {places[1]} is a checkout with benchmarks/; clone the repository, "
        "install it with pip install --editable ., and run the command there."
    )


def _state(script: Speed, root: Path) -> dict[str, Any]:
    folder = _folder(script, root)
    known: dict[str, Any] = {**asdict(script), "rows": [], "record": None, "error": None}
    if (folder / RECORD).is_file():
        path = (folder / RECORD).relative_to(root).as_posix()
        return {**known, "rows": records.read_json(folder / RECORD)["results"]["rows"], "record": path}
    if (folder / FAILURE).is_file():
        error = records.read_json(folder / FAILURE)["error"]
        return {**known, "error": f"{error['type']}: {error['message']}"}
    return known


def _folder(script: Speed, root: Path) -> Path:
    """Where its record lies: another setting or other versions are another one."""
    digest = records.content_hash({**asdict(script), "environment": _versions()})
    return root / "cells" / "speed" / f"{script.script}-{digest[:12]}"


def _versions() -> dict[str, str | None]:
    return {name: version for name, version in records.environment().items() if name != "commit"}


def _record(script: Speed, root: Path) -> dict[str, Any]:
    """Run a script.

    Raises:
        InputError: There is no checkout.
        RunError: The script failed.
    """
    output, started = root.absolute() / "speed", time.time()
    words = [sys.executable, "-m", f"benchmarks.{script.script}", "--output", str(output), "--device", script.device]
    words += ["--sizes", *map(str, script.sizes)] if script.sizes else []
    words += ["--decoders", *script.decoders] if script.decoders else []
    ended = subprocess.run(words, cwd=checkout(), capture_output=True, text=True, check=False)
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise RunError(
            f"benchmarks.{script.script}: exit code {ended.returncode} ({last}); run it by hand to see more."
        )
    rows = [file for file in sorted((output / script.script).glob("*.json")) if file.stat().st_mtime >= started - 1]
    return {
        "kind": "speed",
        "config": asdict(script),
        "results": {"rows": [file.relative_to(root.absolute()).as_posix() for file in rows]},
        "environment": records.environment(),
        "volatile": {
            "timing": {"seconds": time.time() - started},
            "host": records.host(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    }
