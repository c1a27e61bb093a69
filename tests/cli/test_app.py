"""The front: what it loads, what it says about itself, how wrong use ends."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

import hificl as package
from hificl.cli.app import app

from .conftest import Hificl, parsed

HEAVY = ("torch", "transformers", "peft", "accelerate", "safetensors", "tokenizers", "numpy")


def fresh_process(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom hificl.cli import main\nsys.argv = ['hificl', '--help']\n"
        f"try: main()\nexcept SystemExit as end: print(end.code, [m for m in {HEAVY} if m in sys.modules])"
    )
    assert fresh_process(code).splitlines()[-1] == "0 []"


def test_help_takes_half_a_second_of_work() -> None:
    """Processor time, so that a busy machine does not count; the best of five."""
    code = (
        "import sys, time, io\nfrom contextlib import redirect_stdout\nfrom hificl.cli import main\n"
        "sys.argv = ['hificl', '--help']\n"
        "try:\n  with redirect_stdout(io.StringIO()): main()\nexcept SystemExit: print(time.process_time())"
    )
    assert min(float(fresh_process(code)) for _ in range(5)) < 0.5


def test_the_installed_command_runs_in_a_process_of_its_own() -> None:
    started = time.perf_counter()
    code = "import sys; from hificl.cli import main; sys.argv = ['hificl', '--version']; main()"
    assert fresh_process(code).strip() == f"hificl {package.__version__}"
    assert time.perf_counter() - started < 60


def test_every_command_has_help(hificl: Hificl) -> None:
    names = [command.name for command in app.registered_commands]
    assert names == [
        "quickstart", "train", "eval", "predict", "compare", "run", "report", "fidelity", "inspect", "export", "list",
        "doctor",
    ]  # fmt: skip
    for name in names:
        result = hificl(name, "--help")
        assert result.exit_code == 0
        assert "--json" in result.stdout


def test_every_data_command_has_help(hificl: Hificl) -> None:
    for name in ("validate", "show", "ids", "fetch"):
        result = hificl("data", name, "--help")
        assert result.exit_code == 0
        assert "--json" in result.stdout


@pytest.mark.parametrize(
    "words, said",
    [
        (["data", "shw"], "Did you mean 'show'"),
        (["trian"], "Did you mean 'train'"),
        (["train", "--dta", "x"], "--data"),
        (["inspect"], "ADAPTER"),
        (["list", "things"], "'methods', 'tasks', 'backbones'"),
        (["quickstart", "--train-size", "many"], "--train-size"),
    ],
)
def test_wrong_use_ends_with_two_and_one_line(hificl: Hificl, words: list[str], said: str) -> None:
    result = hificl(*words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.startswith("hificl: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_wrong_use_is_an_object_for_machines(hificl: Hificl) -> None:
    result = hificl("inspect", "nowhere", "--json")
    assert result.exit_code == 2
    error = parsed(result)["error"]
    assert error["exit_code"] == 2
    assert error["type"] == "InputError"
    assert error["message"] in result.stderr
