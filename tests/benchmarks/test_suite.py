"""The suite: every row of the catalogue is a script, wrong use is refused, nothing stands in for a GPU."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.__main__ import main, remaining_text, run_suite
from benchmarks.catalogue import CATALOGUE, NAMES, Entry
from benchmarks.command import Bench, Script, run, usable_device
from benchmarks.measure import FULL, QUICK, Spread
from benchmarks.rows import Comparison, Measurement
from hificl.errors import InputError


def script(seen: list[Bench]) -> Script:
    def measure(bench: Bench):  # type: ignore[no-untyped-def]
        seen.append(bench)
        for size in bench.sizes:
            comparison = Comparison("time", "hificl", "plain", Spread(1.0, 1.0, 1.0, 1))
            yield Measurement("prefill", {"tokens": size}, "processor time", (comparison,))

    return Script(
        "prefill", "A script.", measure, sizes=(11, 13), quick_sizes=(5,), decoders=("small",), quick_decoders=("tiny",)
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_row_is_a_script_of_that_name(name: str) -> None:
    found: Script = importlib.import_module(f"benchmarks.{name}").SCRIPT
    assert found.name == name
    assert found.description


def test_the_catalogue_needs_no_torch() -> None:
    code = "import sys, benchmarks.catalogue; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"


def test_rows_are_written_one_by_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Bench] = []
    assert run(script(seen), ["--output", str(tmp_path), "--json"]) == 0
    assert (seen[0].sizes, seen[0].decoders, seen[0].effort) == ((11, 13), ("small",), FULL)
    printed = json.loads(capsys.readouterr().out)
    assert [record["config"]["settings"]["tokens"] for record in printed] == [11, 13]
    assert len(list(tmp_path.glob("prefill/*.json"))) == 2


def test_a_try_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Bench] = []
    assert run(script(seen), ["--quick", "--output", str(tmp_path)]) == 0
    assert (seen[0].sizes, seen[0].decoders, seen[0].effort) == ((5,), ("tiny",), QUICK)
    assert not list(tmp_path.iterdir())
    assert "tokens=5" in capsys.readouterr().out


def test_sizes_and_decoders_of_the_caller_come_first(tmp_path: Path) -> None:
    seen: list[Bench] = []
    run(script(seen), ["--output", str(tmp_path), "--sizes", "7", "9", "--decoders", "medium"])
    assert (seen[0].sizes, seen[0].decoders) == ((7, 9), ("medium",))


def test_a_cpu_does_not_stand_in_for_a_gpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="a CPU cannot stand in"):
        usable_device("cuda")
    seen: list[Bench] = []
    assert run(script(seen), ["--device", "cuda"]) == 2
    assert not seen
    assert "--device cuda: not here" in capsys.readouterr().err


def test_an_unknown_row_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["training_stop"])
    assert end.value.code == 2
    assert "training_stop" in capsys.readouterr().err


def test_time_left_follows_the_pace_so_far() -> None:
    assert remaining_text(600.0, 0.0, 0.0) == "time left is known after the first row"
    assert remaining_text(600.0, 300.0, 600.0) == "about 10 min left"
    assert remaining_text(600.0, 500.0, 250.0) == "about 50 s left"


def test_a_failing_row_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def done(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        failed = command[2] == "benchmarks.decode"
        return subprocess.CompletedProcess(command, 1 if failed else 0, "" if failed else '[{"row": 1}]')

    monkeypatch.setattr(subprocess, "run", done)
    ran = list(run_suite([Entry("decode", "", 1), Entry("prefill", "", 1)], []))
    assert [(one.entry.name, one.code, one.records) for one in ran] == [("decode", 1, []), ("prefill", 0, [{"row": 1}])]


def test_the_catalogue_plans_for_every_row() -> None:
    assert all(entry.seconds > 0 and entry.what for entry in CATALOGUE)
