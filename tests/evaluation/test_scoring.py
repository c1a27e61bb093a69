"""evaluate: score, interval, predictions, record and files."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hificl import records
from hificl.backbones import Backbone
from hificl.data import Example
from hificl.errors import InputError, RunError
from hificl.evaluation import Decoding, Generated, Queries, Result, estimate_size, evaluate, scoring
from hificl.metrics import Score
from hificl.statistics import bootstrap_mean


@pytest.fixture
def graded(examples: list[Example], backbone: Backbone) -> list[Example]:
    """The tiny model's own answers stand as accepted answers of the first three of seven examples."""
    answers = [one.prediction for one in evaluate(backbone, examples, max_new_tokens=4).predictions]
    own = zip(examples, answers, strict=True)
    return [
        dataclasses.replace(example, answers=["unlikely", answer] if index < 3 else ["unlikely"])
        for index, (example, answer) in enumerate(own)
    ]


def test_score_and_interval_are_those_of_the_metric(backbone: Backbone, graded: list[Example]) -> None:
    result = evaluate(backbone, graded, max_new_tokens=4)
    assert result.score == pytest.approx(300 / 7)
    low, high = bootstrap_mean([1, 1, 1, 0, 0, 0, 0])
    assert result.ci95 == pytest.approx((100 * low, 100 * high))
    assert [one.score for one in result.predictions] == [1, 1, 1, 0, 0, 0, 0]
    assert [one.id for one in result.predictions] == [example.id for example in graded]
    assert [one.answers for one in result.predictions] == [example.answers for example in graded]


def test_files_hold_the_result(backbone: Backbone, graded: list[Example], tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    result = evaluate(backbone, graded, shots=2, demonstrations=graded, seed=3, max_new_tokens=4, output_dir=folder)
    assert sorted(path.name for path in folder.iterdir()) == ["predictions.jsonl", "record.json"]
    assert json.loads((folder / "record.json").read_text()) == result.record
    lines = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == [example.id for example in graded]
    assert lines[2] == json.loads(json.dumps(result.predictions[2].to_dict()))
    assert list(lines[2]) == ["id", "prediction", "answers", "score", "demonstrations"]
    assert len(lines[2]["demonstrations"]) == 2
    assert result.record["results"]["predictions_hash"] == records.content_hash(lines)


def test_record_says_what_was_run(backbone: Backbone, graded: list[Example]) -> None:
    result = evaluate(backbone, graded, shots=2, demonstrations=graded, seed=3, max_new_tokens=4)
    record = result.record
    assert record["kind"] == "evaluation"
    assert record["seed"] == 3
    assert record["config"]["backbone"]["revision"] == backbone.revision
    assert record["config"]["backbone"]["prompt"] == backbone.prompt.to_dict()
    assert record["config"]["adapter"] == []
    assert record["config"]["shots"] == 2
    assert record["config"]["metric"] == "exact_match"
    greedy = {"num_beams": 1, "max_new_tokens": 4, "length_penalty": 1.0, "stop_words": ["\n"]}
    assert record["config"]["generation"] == greedy
    assert "source" not in record["config"]
    assert "details" not in record["results"]
    assert record["sample_ids"]["queries"] == [example.id for example in graded]
    assert record["sample_ids"]["demonstrations"]["q4"] == list(result.predictions[4].demonstrations)
    assert record["results"]["score"] == result.score
    assert record["volatile"]["timing"]["seconds_per_answer"] > 0
    assert record["volatile"]["memory"]["smallest_batch_size"] == 7
    assert record["environment"]["torch"]


def test_the_record_tells_beams_source_and_details(backbone: Backbone, graded: list[Example]) -> None:
    source = {"task": "t", "skipped": [{"place": "file.json:3", "reason": "no image"}]}
    result = evaluate(
        backbone,
        graded,
        decoding=Decoding(num_beams=2, max_new_tokens=3, length_penalty=0.0),
        source=source,
        details=lambda examples, answers, score: {"first": examples[0].id, "n": len(answers), "score": score.score},
    )
    generation = result.record["config"]["generation"]
    assert (generation["num_beams"], generation["max_new_tokens"], generation["length_penalty"]) == (2, 3, 0.0)
    assert result.record["config"]["source"] == source
    assert result.record["results"]["details"] == {"first": "q0", "n": 7, "score": result.score}


def test_post_processed_answers_are_scored_and_the_generated_ones_kept(
    backbone: Backbone, graded: list[Example]
) -> None:
    plain = evaluate(backbone, graded, max_new_tokens=4)
    made = evaluate(backbone, graded, max_new_tokens=4, postprocess=lambda text: "unlikely")
    assert made.score == 100
    assert [one.generated for one in made.predictions] == [one.prediction for one in plain.predictions]
    assert made.predictions[0].to_dict()["generated"] == plain.predictions[0].prediction


def test_a_raw_score_keeps_its_unit(backbone: Backbone, graded: list[Example]) -> None:
    result = evaluate(backbone, graded, metric="cider_d", max_new_tokens=4)
    assert result.scale == 1.0
    assert evaluate(backbone, graded, max_new_tokens=4).scale == 100.0


def test_only_the_volatile_block_differs_between_two_runs(backbone: Backbone, graded: list[Example]) -> None:
    first, second = (
        evaluate(backbone, graded, shots=1, demonstrations=graded, max_new_tokens=3).record for _ in range(2)
    )
    assert first["volatile"] != second["volatile"]
    assert {**first, "volatile": 0} == {**second, "volatile": 0}


def test_a_run_is_evaluated_with_its_adapted_model(
    backbone: Backbone, graded: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    adapted = object()
    seen: list[Any] = []

    def answered(backbone: Backbone, model: Any, examples: Sequence[Example], **options: Any) -> Generated:
        seen.append(model)
        estimate = estimate_size(backbone, Queries(backbone, examples), new_tokens=1, batch_size=1)
        return Generated(["x"] * len(examples), [[]] * len(examples), estimate, [{"size": 1}], 1.0)

    monkeypatch.setattr(scoring, "generate_answers", answered)
    evaluate(SimpleNamespace(model=adapted, backbone=backbone), graded)  # type: ignore[arg-type]
    assert seen == [adapted]


def test_a_bare_model_is_refused(backbone: Backbone, graded: list[Example]) -> None:
    with pytest.raises(InputError, match="was given a LlavaForConditionalGeneration; give a backbone or a run"):
        evaluate(backbone.model, graded)  # type: ignore[arg-type]


def test_own_metric(backbone: Backbone, graded: list[Example]) -> None:
    def length_of_answers(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        return Score(12.5, tuple(0.125 for _ in predictions), (1.0, 20.0), len(predictions))

    result = evaluate(backbone, graded, metric=length_of_answers, max_new_tokens=1)
    assert (result.score, result.ci95) == (12.5, (1.0, 20.0))
    assert result.record["config"]["metric"] == "length_of_answers"


def test_unknown_metric_names_the_nearest(backbone: Backbone, graded: list[Example]) -> None:
    with pytest.raises(InputError, match=r"'exact_mach' is unknown; did you mean 'exact_match'\?"):
        evaluate(backbone, graded, metric="exact_mach")


def test_example_without_answer(backbone: Backbone, graded: list[Example]) -> None:
    bad = dataclasses.replace(graded[4], answers=[])
    with pytest.raises(InputError, match="sample 'q4' has no answer to compare with"):
        evaluate(backbone, [*graded[:4], bad])


def test_output_dir_that_is_a_file(backbone: Backbone, graded: list[Example], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file' is a file; name a folder"):
        evaluate(backbone, graded, output_dir=tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_failure_writes_nothing(
    backbone: Backbone, graded: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*arguments: Any, **options: Any) -> Result:
        raise RunError("sample 'q3': out of memory")

    monkeypatch.setattr(scoring, "generate_answers", failing)
    with pytest.raises(RunError, match="q3"):
        evaluate(backbone, graded, output_dir=tmp_path / "out")
    assert not (tmp_path / "out").exists()
