"""What ``hificl eval`` says at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hificl.cli.report import duration, facts

if TYPE_CHECKING:
    from rich.console import Console

    from hificl.cli.eval import EvalOptions
    from hificl.cli.task_data import Rows
    from hificl.evaluation import Result


SHORT_TABLE = 14
"""Most entries of a table on the screen."""


def evaluation_summary(
    chosen: EvalOptions, rows: Rows, result: Result, floors: dict[str, float] | None
) -> dict[str, Any]:
    """The result as JSON values; all but the floors stands in the record too."""
    config = result.record["config"]
    generation = config["generation"]
    return {
        "adapter": chosen.adapter,
        "model": config["backbone"]["name"],
        "task": rows.task.name if rows.task else None,
        "protocol": (rows.source or {}).get("protocol"),
        "prompt": config["backbone"]["prompt"]["name"],
        "num_beams": generation["num_beams"],
        "max_new_tokens": generation["max_new_tokens"],
        "metric": config["metric"],
        "shots": chosen.shots,
        "retrieval": chosen.retrieval,
        "seed": rows.seed,
        "score": result.score,
        "score_ci95": list(result.ci95),
        "scale": result.scale,
        "items": len(result.predictions),
        "floors": floors,
        "skipped": len(rows.skipped),
        "details": result.record["results"].get("details"),
        "seconds_per_answer": result.record["volatile"]["timing"]["seconds_per_answer"],
        "output": chosen.output,
    }


def show_evaluation(screen: Console, summary: dict[str, Any], skipped: list[str]) -> None:
    """Print the summary for people."""
    low, high = (in_unit(value, summary["scale"]) for value in summary["score_ci95"])
    score = in_unit(summary["score"], summary["scale"])
    seconds = summary["seconds_per_answer"]
    rows: dict[str, object] = {
        summary["metric"]: f"{score}  (95 % interval {low} to {high}, {summary['items']} items)",
    }
    if summary["floors"] is not None:
        majority, blind = (in_unit(summary["floors"][name], summary["scale"]) for name in ("majority", "blind"))
        rows["without looking"] = f"{majority} by the most frequent answer, {blind} by that of each question"
    rows |= _figures(summary["details"] or {})
    if skipped:
        rows["left out"] = f"{len(skipped)} bad rows, so the score is over fewer than the task has; {skipped[0]}"
    if summary["task"]:
        beams = "greedy" if summary["num_beams"] == 1 else f"{summary['num_beams']} beams"
        protocol = f"protocol {summary['protocol']}, " if summary["protocol"] else ""
        rows["setting"] = (
            f"{protocol}prompt {summary['prompt']}, {summary['shots']} shots, {beams}, "
            f"at most {summary['max_new_tokens']} tokens, seed {summary['seed']}"
        )
    rows["per answer"] = duration(seconds) if seconds >= 1 else f"{1000 * seconds:.0f} ms"
    written = f"{summary['output']}/predictions.jsonl and record.json"
    rows["written"] = written if summary["output"] else "nothing (give --output DIR to keep predictions and record)"
    facts(screen, rows)


def in_unit(value: float, scale: float) -> str:
    """A percentage with one digit; a raw score, which others may print times 100, with four."""
    return f"{value:.1f}" if scale == 100.0 else f"{value:.4f}"


def _figures(details: dict[str, Any]) -> dict[str, object]:
    """Further figures; tables with many rows, such as one per type of question, are left to the record."""
    rows: dict[str, object] = {}
    for name, value in details.items():
        shown = name.replace("_", " ")
        if isinstance(value, dict) and name.startswith("by_") and 0 < len(value) <= SHORT_TABLE:
            rows[shown] = ", ".join(f"{label} {number:.1f}" for label, number in value.items())
        elif isinstance(value, float):
            rows[shown] = f"{value:.4g}"
        elif isinstance(value, str):
            rows[shown] = value
    return rows
