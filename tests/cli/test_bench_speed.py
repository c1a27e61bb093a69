"""``bench speed``: the suite of a checkout in a process of its own, and a refusal elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from hificl.experiments import speed

from .conftest import Hificl

SUITE = """
import json, os, sys
print(json.dumps({"words": sys.argv[1:], "folder": os.getcwd()}))
sys.exit(1 if "decode" in sys.argv else 0)
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose suite tells how it was called."""
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "src" / "hificl").mkdir(parents=True)
    for name, text in {"__init__": "", "catalogue": "", "__main__": SUITE}.items():
        (tmp_path / "benchmarks" / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_suite_runs_in_the_checkout(hificl: Hificl, checkout: Path) -> None:
    result = hificl("bench", "speed", "prefill", "attention", "--quick", "--json")
    assert result.exit_code == 0
    assert f'"folder": "{checkout}"' in result.stdout
    assert '["prefill", "attention", "--device", "cpu", "--quick", "--json"]' in result.stdout


def test_all_rows_at_full_size_by_default(hificl: Hificl, checkout: Path) -> None:
    assert '["--device", "cpu"]' in hificl("bench", "speed").stdout


def test_a_failing_suite_fails(hificl: Hificl, checkout: Path) -> None:
    assert hificl("bench", "speed", "decode").exit_code == 1


def test_elsewhere_the_remedy_is_named(hificl: Hificl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(speed, "__file__", str(tmp_path / "lib" / "python" / "site-packages" / "hificl" / "x.py"))
    result = hificl("bench", "speed")
    assert result.exit_code == 2
    assert "clone the repository" in result.stderr


def test_this_checkout_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert (speed.checkout() / "benchmarks" / "attention.py").is_file()
