"""Evaluate a backbone or a trained run on labelled examples: score, interval, predictions, record."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from peft import PeftModel

from hificl.backbones import Backbone
from hificl.data import Example
from hificl.errors import InputError
from hificl.evaluation.adapter import describe_adapter, prompted_for
from hificl.evaluation.generation import Generated, generate_answers, resolve_decoding
from hificl.evaluation.presets import GREEDY, Decoding
from hificl.evaluation.record import Prediction, describe_backbone, evaluation_record, write_evaluation
from hificl.evaluation.task_scoring import Details
from hificl.metrics import METRICS, Metric, Score

BESIDE_AN_ADAPTER = (
    "demonstrations stand in the prompt beside an adapter. Most adapters were trained on prompts without any, and "
    "may score less with them (docs/demonstrations.md, 'Demonstrations beside an adapter'). Compare with shots=0."
)


class AdaptedBackbone(Protocol):
    """A trained run: an adapted model and the backbone under it."""

    @property
    def model(self) -> Any:
        """The model with its adapter."""

    @property
    def backbone(self) -> Backbone:
        """Processor, prompt form and family."""


@dataclass(frozen=True)
class Result:
    """What an evaluation found."""

    score: float
    """Score over the queries: in [0, 100] for most metrics, raw for some (CIDEr-D, where 1.0 is printed as 100)."""

    ci95: tuple[float, float]
    """Bootstrap 95 % interval of the score over queries, in the unit of the score."""

    scale: float
    """100.0 where the score is a percentage, 1.0 where it is raw."""

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
    retrieval: str = "random",
    seed: int = 0,
    batch_size: int | None = None,
    output_dir: str | Path | None = None,
    max_new_tokens: int | None = None,
    decoding: Decoding = GREEDY,
    postprocess: Callable[[str], str] | None = None,
    source: Mapping[str, Any] | None = None,
    details: Details | None = None,
    compile: bool = False,
) -> Result:
    """Answer every example and score the answers.

    Args:
        backbone_or_run: A backbone (zero-shot or in-context), or a run, whose adapter is then active. To evaluate any
            PEFT model use ``dataclasses.replace(backbone, model=peft_model)``.
        examples: The query set; each with at least one accepted answer and an id of its own.
        metric: A name in ``METRICS``, or a function of predictions and accepted answers.
        shots: Demonstrations in every prompt. Beside an adapter they warn: most were trained on prompts without any,
            and may score less with them (docs/demonstrations.md).
        demonstrations: Support set from which each query gets its own; never the query itself.
        retrieval: ``"random"``, a seeded draw, or ``"rices"``: those whose images are most similar to the query's, the
            most similar one last.
        seed: Seed of the draw.
        batch_size: Queries generated together. None chooses: on a CPU from the memory estimate and a fixed budget, so
            that the same evaluation makes the same batches; on a GPU from what batches were measured to take. On a GPU
            whose memory runs out it is halved. The record tells every size and why.
        output_dir: Gets ``predictions.jsonl`` and then ``record.json``, each written whole or not at all. None writes
            nothing.
        max_new_tokens: Most tokens of one answer; None takes the number of ``decoding``, else the family's.
        decoding: Beams, length and length penalty; greedy by default. ``find_decoding`` has those of the protocols.
        postprocess: Applied to every answer before it is scored, such as ``Task.postprocess``.
        source: What the record is to say about the examples, as JSON values: task, protocol, skipped rows.
        details: Further results for the record, from the examples, the answers and their score, as JSON values.
        compile: Generate with a static cache and a compiled decode step: faster where many queries follow one another,
            after a compilation of half a minute or more. The answers are the same to rounding.

    Returns:
        Score, interval, predictions and record. Every example was answered: nothing is skipped.

    Raises:
        InputError: A bad example or option; the message names the sample. Nothing was generated or written then.
        RunError: Generation failed (the samples are named) or a file could not be written.
    """
    backbone = prompted_for(_backbone(backbone_or_run), backbone_or_run.model)
    search = resolve_decoding(backbone, decoding, max_new_tokens)
    metric_name, measure = _metric(metric)
    _check(examples, output_dir)
    if shots and isinstance(backbone_or_run.model, PeftModel):
        warnings.warn(BESIDE_AN_ADAPTER, stacklevel=2)
    generated = generate_answers(
        backbone,
        backbone_or_run.model,
        examples,
        shots=shots,
        demonstrations=demonstrations,
        retrieval=retrieval,
        seed=seed,
        batch_size=batch_size,
        decoding=search,
        compile=compile,
    )
    texts = generated.texts if postprocess is None else [postprocess(text) for text in generated.texts]
    score = measure(texts, [list(example.answers) for example in examples])
    predictions = _predictions(examples, texts, generated, score)
    config = {
        "backbone": describe_backbone(backbone),
        "adapter": describe_adapter(backbone_or_run.model),
        "metric": metric_name,
        "shots": shots,
        **({"retrieval": retrieval} if retrieval != "random" else {}),
        "batch_size": batch_size,
        "generation": {**asdict(search), "stop_words": list(backbone.stop_words)},
        **({"compile": True} if compile else {}),
        **({"source": dict(source)} if source is not None else {}),
    }
    found = None if details is None else details(examples, texts, score)
    record = evaluation_record(config, seed, predictions, generated, score, found)
    if output_dir is not None:
        write_evaluation(Path(output_dir), predictions, record)
    return Result(score.score, score.ci95, score.scale, predictions, record)


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


def _predictions(
    examples: Sequence[Example], texts: Sequence[str], generated: Generated, score: Score
) -> tuple[Prediction, ...]:
    before = [None] * len(texts) if texts is generated.texts else generated.texts
    rows = zip(examples, texts, score.per_item, generated.demonstration_ids, before, strict=True)
    return tuple(
        Prediction(example.id, text, tuple(example.answers), value, tuple(drawn), raw)
        for example, text, value, drawn, raw in rows
    )


def _metric(metric: str | Metric) -> tuple[str, Metric]:
    if not isinstance(metric, str):
        return getattr(metric, "__name__", type(metric).__name__), metric
    if metric not in METRICS:
        near = difflib.get_close_matches(metric, METRICS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(METRICS)}."
        raise InputError(f"metric {metric!r} is unknown; {hint}")
    return metric, METRICS[metric]
