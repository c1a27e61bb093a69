"""exact_match: hand-scored answers, and the promise that metrics need no torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hificl.errors import InputError
from hificl.metrics import METRICS, exact_match
from hificl.metrics.exact_match import normalise


@pytest.mark.parametrize(
    ("prediction", "accepted", "match"),
    [
        ("red", ["red"], True),
        (" Red.\n", ["red"], True),
        ("red", ["RED. "], True),
        ("light\n  blue", ["light blue"], True),
        ("blue", ["red", "dark red", "blue"], True),
        ("yes . .", ["yes"], True),
        ("3.5", ["3.5"], True),
        ("35", ["3.5"], False),
        ("a red", ["red"], False),
        ("one", ["1"], False),
        ("red!", ["red"], False),
        ("reddish", ["red"], False),
        ("", ["red"], False),
        ("", ["."], False),
        ("..", ["."], False),
        (".", ["."], True),
    ],
)
def test_hand_scored_items(prediction: str, accepted: list[str], match: bool) -> None:
    assert exact_match([prediction], [accepted]).per_item == (float(match),)


def test_score_of_several_items() -> None:
    result = METRICS["exact_match"](["red", "no", "two", "x"], [["red"], ["yes", "no"], ["three"], ["y"]])
    assert result.score == 50.0
    assert result.per_item == (1.0, 1.0, 0.0, 0.0)
    assert result.n == 4
    assert result.ci95 == (0.0, 100.0)


def test_normalising_twice_changes_nothing() -> None:
    for text in ("  A. B. ", "...", ". .", "", "ΟΔΟΣ.", "a\u00a0b"):
        assert normalise(normalise(text)) == normalise(text)


def test_lengths_are_checked() -> None:
    with pytest.raises(InputError, match="2 predictions for 1 references"):
        exact_match(["a", "b"], [["a"]])


def test_ground_floor_works_with_torch_blocked() -> None:
    program = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "peft"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Block())
import hificl.metrics, hificl.statistics, hificl.records, hificl.data, hificl.tasks
hificl.records.environment(), hificl.records.host(), hificl.records.peak_memory_bytes()
print(hificl.metrics.exact_match(["red"], [["Red."]]).score)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "100.0"
