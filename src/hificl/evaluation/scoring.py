"""Evaluate a backbone or a trained run on labelled examples: score, interval, predictions, record."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from hificl import records
from hificl.backbones import Backbone
from hificl.data import Example
from hificl.errors import InputError
from hificl.evaluation.adapter import describe_adapter
from hificl.evaluation.generation import Generated, generate_answers
from hificl.metrics import METRICS, Metric, Score


class AdaptedBackbone(Protocol):
    """A trained run: an adapted model and the backbone under it."""

    @property
    def model(self) -> Any:
        """The model with its adapter."""

    @property
    def backbone(self) -> Backbone:
        """Processor, prompt form and family."""


@dataclass(frozen=True)
class Prediction:
    """The answer to one query."""

    id: str
    """Id of the query."""

    prediction: str
    """The generated answer after cutting and stripping."""

    answers: tuple[str, ...]
    """The accepted answers."""

    score: float
    """Score of this item, in [0, 1]."""

    demonstrations: tuple[str, ...]
    """Ids of the demonstrations in its prompt, in order."""


@dataclass(frozen=True)
class Result:
    """What an evaluation found."""

    score: float
    """Mean over the queries, in [0, 100]."""

    ci95: tuple[float, float]
    """Bootstrap 95 % interval of the score over queries, in [0, 100]."""

    predictions: tuple[Prediction, ...]
    """One per query, in the order of the examples."""

    record: Mapping[str, Any]
    """Config, seed, sample ids, results, versions; what may differ between two runs stands under "volatile"."""


def evaluate(
    backbone_or_run: Backbone | AdaptedBackbone,
    examples: Sequence[Example],
    *,
    metric: str | Metric = "exact_match",
    shots: int = 0,
    demonstrations: Sequence[Example] = (),
    seed: int = 0,
    batch_size: int | None = None,
    output_dir: str | Path | None = None,
    max_new_tokens: int | None = None,
) -> Result:
    """Answer every example greedily and score the answers.

    Args:
        backbone_or_run: A backbone (zero-shot or in-context), or a run, whose adapter is then active. To evaluate any
            PEFT model use ``dataclasses.replace(backbone, model=peft_model)``.
        examples: The query set; each with at least one accepted answer and an id of its own.
        metric: A name in ``METRICS``, or a function of predictions and accepted answers.
        shots: Demonstrations in every prompt.
        demonstrations: Support set from which each query draws its own, seeded; never the query itself.
        seed: Seed of that draw.
        batch_size: Queries generated together; None chooses from the memory estimate. On a GPU whose memory runs out it
            is halved, and the record says so.
        output_dir: Gets ``predictions.jsonl`` and then ``record.json``, each written whole or not at all. None writes
            nothing.
        max_new_tokens: Most tokens of one answer; None takes the family's number.

    Returns:
        Score, interval, predictions and record. Every example was answered: nothing is skipped.

    Raises:
        InputError: A bad example or option; the message names the sample. Nothing was generated or written then.
        RunError: Generation failed (the samples are named) or a file could not be written.
    """
    backbone = _backbone(backbone_or_run)
    metric_name, measure = _metric(metric)
    _check(examples, output_dir)
    generated = generate_answers(
        backbone,
        backbone_or_run.model,
        examples,
        shots=shots,
        demonstrations=demonstrations,
        seed=seed,
        batch_size=batch_size,
        max_new_tokens=max_new_tokens,
    )
    score = measure(generated.texts, [list(example.answers) for example in examples])
    predictions = _predictions(examples, generated, score)
    config = {
        "backbone": _describe(backbone),
        "adapter": describe_adapter(backbone_or_run.model),
        "metric": metric_name,
        "shots": shots,
        "batch_size": batch_size,
        "generation": {
            "max_new_tokens": generated.estimate.new_tokens,
            "stop_words": list(backbone.family.generation.stop_words),
        },
    }
    record = _record(config, seed, predictions, generated, score)
    if output_dir is not None:
        _write(Path(output_dir), predictions, record)
    return Result(score.score, score.ci95, predictions, record)


def _backbone(backbone_or_run: Backbone | AdaptedBackbone) -> Backbone:
    backbone = getattr(backbone_or_run, "backbone", backbone_or_run)
    if not isinstance(backbone, Backbone):
        raise InputError(
            f"evaluate was given a {type(backbone_or_run).__name__}; give a backbone or a run. "
            "A bare model needs its backbone: dataclasses.replace(backbone, model=model)."
        )
    return backbone


def _check(examples: Sequence[Example], output_dir: str | Path | None) -> None:
    """Refuse before hours of work what would fail after them."""
    for example in examples:
        if not example.answers:
            raise InputError(f"sample {example.id!r} has no answer to compare with; add one, or predict instead.")
    if output_dir is not None and Path(output_dir).exists() and not Path(output_dir).is_dir():
        raise InputError(f"output_dir {str(output_dir)!r} is a file; name a folder.")


def _predictions(examples: Sequence[Example], generated: Generated, score: Score) -> tuple[Prediction, ...]:
    rows = zip(examples, generated.texts, score.per_item, generated.demonstration_ids, strict=True)
    return tuple(
        Prediction(example.id, text, tuple(example.answers), value, tuple(drawn))
        for example, text, value, drawn in rows
    )


def _metric(metric: str | Metric) -> tuple[str, Metric]:
    if not isinstance(metric, str):
        return getattr(metric, "__name__", type(metric).__name__), metric
    if metric not in METRICS:
        near = difflib.get_close_matches(metric, METRICS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(METRICS)}."
        raise InputError(f"metric {metric!r} is unknown; {hint}")
    return metric, METRICS[metric]


def _describe(backbone: Backbone) -> dict[str, Any]:
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


def _record(
    config: Mapping[str, Any], seed: int, predictions: Sequence[Prediction], generated: Generated, score: Score
) -> dict[str, Any]:
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
            "predictions_hash": records.content_hash([asdict(one) for one in predictions]),
            "tokens": {"prompts": estimate.prompt_tokens, "longest_prompt": estimate.longest_prompt},
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
            },
            "host": records.host(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    }


def _write(folder: Path, predictions: Sequence[Prediction], record: Mapping[str, Any]) -> None:
    """The record comes last and holds the hash of the predictions, so that a pair of two evaluations shows."""
    lines = [json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in predictions]
    records.write_atomic(folder / "predictions.jsonl", "".join(lines).encode())
    records.write_json(folder / "record.json", record)
