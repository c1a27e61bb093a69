"""The table is drawn from records alone, and the committed CSV is the one that its records give."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

import benchmarks
from benchmarks.measure import Spread
from benchmarks.rows import RESULTS, Comparison, Measurement, Target, read_rows, write_row
from benchmarks.table import COLUMNS, CSV, csv_text, lines, main, markdown, table_rows

ROOT = Path(benchmarks.__file__).parents[1]


def record() -> dict[str, Any]:
    comparisons = (
        Comparison("time", "hificl", "plain", Spread(1.04, 1.01, 1.08, 7), target=Target(1.03)),
        Comparison("peak memory", "lora", "plain", Spread(1.2, 1.2, 1.2, 1), note="a, note"),
        Comparison("seconds", "help", "", Spread(0.25, 0.2, 0.3, 3), unit="s", target=Target(0.5)),
    )
    seconds = {"hificl": Spread(2.08, 2.0, 2.1, 7), "plain": Spread(2.0, 2.0, 2.0, 7)}
    return Measurement("prefill", {"decoder": "tiny", "tokens": 96}, "processor time", comparisons, seconds).record()


def test_lines_tell_value_spread_target_and_verdict() -> None:
    assert lines(record()) == [
        "prefill on cpu: decoder=tiny tokens=96",
        "  time: hificl / plain = 1.040 [1.010, 1.080]  <= 1.03  MISSED",
        "  peak memory: lora / plain = 1.200  reported  a, note",
        "  seconds: help = 0.250 s [0.200, 0.300]  <= 0.5  met",
    ]


def test_the_csv_has_a_line_per_number(tmp_path: Path) -> None:
    path = write_row(record(), tmp_path)
    text = csv_text(table_rows(read_rows(tmp_path), tmp_path))
    first, second, third = csv.DictReader(io.StringIO(text))
    assert tuple(first) == COLUMNS
    assert (first["value"], first["target"], first["met"]) == ("1.04", "<= 1.03", "False")
    assert (first["subject_seconds"], first["rival_seconds"]) == ("2.08", "2")
    assert (second["target"], second["met"], second["note"], second["subject_seconds"]) == ("", "", "a, note", "")
    assert third["met"] == "True"
    assert {line["record"] for line in (first, second, third)} == {path.relative_to(tmp_path).as_posix()}


def test_markdown_has_a_line_per_number(tmp_path: Path) -> None:
    write_row(record(), tmp_path)
    drawn = markdown(read_rows(tmp_path)).splitlines()
    assert len(drawn) == 2 + 3
    assert drawn[2].endswith("| time: hificl / plain | 1.040 [1.010, 1.080] | <= 1.03 | MISSED |")


def test_the_command_writes_the_csv_that_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_row(record(), tmp_path / "rows")
    target = tmp_path / "speed.csv"
    assert main(["--records", str(tmp_path / "rows"), "--csv", str(target)]) == 0
    assert target.read_text() == csv_text(table_rows(read_rows(tmp_path / "rows"), Path()))
    assert capsys.readouterr().out == markdown(read_rows(tmp_path / "rows"))


def test_no_rows_make_no_csv(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "speed.csv"
    assert main(["--records", str(tmp_path), "--csv", str(target)]) == 2
    assert not target.exists()
    assert "no rows yet" in capsys.readouterr().err


def test_the_committed_csv_is_drawn_from_the_committed_records() -> None:
    rows = read_rows(ROOT / RESULTS)
    committed = ROOT / CSV
    assert committed.is_file() == bool(rows), f"draw {CSV} with python -m benchmarks.table"
    if rows:
        assert committed.read_text(encoding="utf-8") == csv_text(table_rows(rows, ROOT))
