"""What an evaluation leaves: one line per query, and the record."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hificl import records
from hificl.backbones import Backbone
from hificl.evaluation.generation import Generated
from hificl.metrics import Score


@dataclass(frozen=True)
class Prediction:
    """The answer to one query."""

    id: str
    """Id of the query."""

    prediction: str
    """The generated answer after cutting, stripping and, for some tasks, post-processing."""

    answers: tuple[str, ...]
    """The accepted answers."""

    score: float
    """Score of this item, as the metric gives it; a share in [0, 1] for most."""

    demonstrations: tuple[str, ...]
    """Ids of the demonstrations in its prompt, in order."""

    generated: str | None = None
    """The answer before post-processing; None where there was none."""

    def to_dict(self) -> dict[str, Any]:
        """Its line in ``predictions.jsonl``; ``generated`` only where there was post-processing."""
        values = asdict(self)
        if self.generated is None:
            del values["generated"]
        return values


def describe_backbone(backbone: Backbone) -> dict[str, Any]:
    """What decides how a backbone sees and answers, as JSON values."""
    return {
        "name": backbone.name,
        "family": backbone.family.name,
        "revision": backbone.revision,
        "prompt": backbone.prompt.to_dict(),
        "image_settings": dict(backbone.family.image_settings),
        "device": backbone.device.type,
        "dtype": str(backbone.model.dtype).removeprefix("torch."),
        "attention": getattr(backbone.text_config, "_attn_implementation", None),
    }


def evaluation_record(
    config: Mapping[str, Any],
    seed: int,
    predictions: Sequence[Prediction],
    generated: Generated,
    score: Score,
    details: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The record of an evaluation; ``details`` stand in its results where there are some."""
    estimate = generated.estimate
    return {
        "kind": "evaluation",
        "config": dict(config),
        "seed": seed,
        "sample_ids": {
            "queries": [one.id for one in predictions],
            "demonstrations": {one.id: list(one.demonstrations) for one in predictions if one.demonstrations},
        },
        "results": {
            "score": score.score,
            "score_ci95": list(score.ci95),
            "items": score.n,
            "empty_predictions": sum(not one.prediction for one in predictions),
            "predictions_hash": records.content_hash([one.to_dict() for one in predictions]),
            "tokens": {"prompts": estimate.prompt_tokens, "longest_prompt": estimate.longest_prompt},
            **({"details": dict(details)} if details is not None else {}),
        },
        "environment": records.environment(),
        "volatile": {
            "timing": {
                "evaluation_seconds": generated.seconds,
                "seconds_per_answer": generated.seconds / len(predictions),
            },
            "memory": {
                "peak_bytes": records.peak_memory_bytes(),
                "estimated_bytes": estimate.peak_bytes,
                "batch_size": estimate.batch_size,
                "smallest_batch_size": generated.smallest_batch,
                "batches": generated.batches,
            },
            "host": records.host(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    }


def write_evaluation(folder: Path, predictions: Sequence[Prediction], record: Mapping[str, Any]) -> None:
    """Write both files; the record, last, holds the hash of the predictions, so that two evaluations do not mix."""
    lines = [json.dumps(one.to_dict(), ensure_ascii=False) + "\n" for one in predictions]
    records.write_atomic(folder / "predictions.jsonl", "".join(lines).encode())
    records.write_json(folder / "record.json", record)
