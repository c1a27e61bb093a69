"""Progress lines where stderr is no terminal."""

from __future__ import annotations

import sys

import pytest

from hificl.evaluation import progress
from hificl.evaluation.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that a test moves by hand."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_lines_have_rate_and_remaining_time(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(50, "answers") as shown:
        clock[0] += 10
        shown.advance(20)
    assert capsys.readouterr().err == "answers: 20/50, 2.0 answers/s, 15 s left\n"


def test_lines_are_rare_but_the_last_always_comes(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(9, "answers") as shown:
        for _ in range(9):
            clock[0] += 1
            shown.advance(1)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["answers: 5/9", "answers: 9/9"]


def test_other_processes_are_silent(
    clock: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    with Progress(3, "answers") as shown:
        shown.advance(3)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with Progress(3, "answers") as shown:
        shown.advance(3)
    assert "3/3" in capsys.readouterr().err
