"""The embedded model's training defaults are those that the recorded trials chose, with equal budgets."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from hificl import BACKBONES

RECORD = Path(__file__).parents[2] / "pretrain" / "records" / "training_defaults.json"


def test_defaults_are_the_recorded_choice() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    trials, chosen = record["results"]["trials"], record["results"]["chosen"]
    assert len(set(Counter(trial["method"] for trial in trials).values())) == 1, "as many trials for each method"
    defaults = BACKBONES["embedded"].training_defaults
    for method, options in chosen.items():
        best = max(trial["score"] for trial in trials if trial["method"] == method)
        assert any(t["score"] == best and t["options"] == options for t in trials if t["method"] == method)
        assert options.items() <= defaults[method].items()
        assert defaults[method]["batch_size"] == record["config"]["shared"]["batch_size"]
