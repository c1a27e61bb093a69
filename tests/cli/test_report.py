"""Where commands write, and how they write sizes and times."""

from __future__ import annotations

import io
import sys
import warnings

import pytest

from hificl.cli.report import Report, console, duration, facts, printable, reporting, size


def test_a_library_that_prints_does_not_spoil_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    with reporting(True) as report:
        print("chatter of a library")
        report.result({"score": 3}, lambda screen: None)
    captured = capsys.readouterr()
    assert captured.out == '{\n  "score": 3\n}\n'
    assert captured.err == "chatter of a library\n"


def test_warnings_of_hificl_are_one_line_and_others_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with reporting(False):
        warnings.warn_explicit("other revision", UserWarning, "run.py", 3, module="hificl.run")
        warnings.warn_explicit("old habit", FutureWarning, "some.py", 5, module="somebody.else")
    assert capsys.readouterr().err == "warning: other revision\n"


def test_long_values_are_not_broken_and_brackets_stay() -> None:
    stream = io.StringIO()
    facts(console(stream), {"path": "x" * 300, "shape [bold]": "[7, 5]"})
    assert stream.getvalue().splitlines() == [f"path          {'x' * 300}", "shape [bold]  [7, 5]"]


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def painted() -> str:
        stream = Terminal()
        console(stream).print("word", style="red")
        return stream.getvalue()

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[31m" in painted()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in painted()


@pytest.mark.parametrize(
    "number, text", [(999, "999 bytes"), (15_040, "15.0 kB"), (7_800_000, "7.8 MB"), (25.3e9, "25.3 GB")]
)
def test_size(number: int, text: str) -> None:
    assert size(number) == text


@pytest.mark.parametrize("seconds, text", [(2.94, "2.9 s"), (41.3, "41 s"), (125, "2 min 05 s"), (3601, "1 h 00 min")])
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_notes_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Report(sys.stdout, as_json=False).note("half done")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "half done\n")


def test_answers_cannot_move_the_cursor() -> None:
    assert printable("light blue\x1b[2J\a é") == "light blue\ufffd[2J\ufffd é"
