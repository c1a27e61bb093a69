"""How commands end that do not end well."""

from __future__ import annotations

import pytest

from hificl.cli import report
from hificl.errors import RunError

from .conftest import Hificl, parsed


def fails(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every command that reports raise."""

    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(report.Report, "result", broken)


def test_a_failed_run_ends_with_two_without_traceback(hificl: Hificl, monkeypatch: pytest.MonkeyPatch) -> None:
    fails(RunError("step 7: the loss is nan; lower the learning rate."), monkeypatch)
    result = hificl("list", "methods")
    assert result.exit_code == 2
    assert result.stderr == "hificl: step 7: the loss is nan; lower the learning rate.\n"


def test_the_unexpected_ends_with_one_and_a_traceback(hificl: Hificl, monkeypatch: pytest.MonkeyPatch) -> None:
    fails(ZeroDivisionError("seven by nothing"), monkeypatch)
    result = hificl("list", "methods", "--json")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert "ZeroDivisionError: seven by nothing" in result.stderr
    assert parsed(result)["error"]["type"] == "ZeroDivisionError"


def test_control_c_ends_with_130_and_a_line(hificl: Hificl, monkeypatch: pytest.MonkeyPatch) -> None:
    fails(KeyboardInterrupt(), monkeypatch)
    result = hificl("list", "methods")
    assert result.exit_code == 130
    assert result.stderr == "hificl: interrupted; the same command goes on where it stopped.\n"


def test_messages_of_the_library_are_put_into_the_words_of_the_command_line(
    hificl: Hificl, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "map it with columns={'question': ...}, or choose another output_dir, or resume=False"
    fails(RunError(f"{said}; leave such rows out with on_bad='skip'; pass a smaller support_size"), monkeypatch)
    result = hificl("list", "methods")
    assert "map it with --columns question=NAME, or choose another --output, or --no-resume" in result.stderr
    assert "leave such rows out with --on-bad skip; pass a smaller --support-size" in result.stderr
