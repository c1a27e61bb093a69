"""Choose the embedded model's training defaults on a held-out part of the 300 easy-VQA training questions.

As many trials for LoRA as for HiFICL, the same steps and batch for both; the 500 query questions are never looked at.
Run: ``python -m pretrain.choose_defaults --output pretrain/records/training_defaults.json``
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from hificl import evaluate, load_backbone, records, train
from hificl.tasks import easy_vqa

HELD_OUT = 60
SHARED = {"batch_size": 16, "micro_batch_size": 16, "checkpoint_steps": 1000}
TRIALS: dict[str, list[dict[str, Any]]] = {
    "hificl": [{"learning_rate": rate} for rate in (5e-3, 1e-2, 2e-2, 4e-2)],
    "lora": [{"learning_rate": rate} for rate in (5e-4, 1e-3, 3e-3, 1e-2)],
}


def run_trials(model: str, steps: int, seed: int) -> list[dict[str, Any]]:
    """Train every trial on the first questions and score it on the held-out rest."""
    backbone = load_backbone(model)
    support = easy_vqa.load().support
    training, held_out = support[:-HELD_OUT], support[-HELD_OUT:]
    rows = []
    for method, trials in TRIALS.items():
        for options in trials:
            started = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                run = train(
                    backbone, training, method=method, output_dir=folder, seed=seed, steps=steps, **SHARED, **options
                )
                result = evaluate(run, held_out)
                last_loss = run.record["results"]["losses"][-1]
            row = {
                "method": method,
                "options": options,
                "score": result.score,
                "last_loss": last_loss,
                "volatile": {"seconds": time.monotonic() - started},
            }
            print(f"{method} {options}: {result.score:.1f} (loss {last_loss:.3f})", flush=True)
            rows.append(row)
    return rows


def best(rows: list[dict[str, Any]], method: str) -> dict[str, Any]:
    """Return the options of the best trial; a tie goes to the lower learning rate, which comes first."""
    own = [row for row in rows if row["method"] == method]
    return max(own, key=lambda row: row["score"])["options"]


def main() -> None:
    """Run the trials and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = run_trials(arguments.model, arguments.steps, arguments.seed)
    records.write_json(
        arguments.output,
        {
            "kind": "training defaults",
            "config": {"model": arguments.model, "steps": arguments.steps, "held_out": HELD_OUT, "shared": SHARED},
            "seed": arguments.seed,
            "results": {"trials": rows, "chosen": {method: best(rows, method) for method in TRIALS}},
            "environment": records.environment(),
            "volatile": {"host": records.host()},
        },
    )


if __name__ == "__main__":
    main()
