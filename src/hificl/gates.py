"""What the embedded model must be able to do, measured anew: adaptation, in-context learning, binding, and controls.

A gate passes on its point estimate; the interval stands beside it. What fails is said, not hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hificl import records
from hificl.backbones import Backbone, load_backbone
from hificl.cell import RANDOM_LM, Cell, Finished, clear_cell, run_cell
from hificl.quickstart import OPEN, Announce, quickstart
from hificl.tasks import TaskData, easy_vqa, relabel

Interval = tuple[float, float]


@dataclass(frozen=True)
class Gate:
    """One demand and what was measured. Scores and differences are in points of 100."""

    name: str
    """What is demanded, in words."""

    measured: float
    """The score or the difference of scores that is held to the bound."""

    interval: Interval | None
    """95 % interval of the score over questions; None for a difference of two."""

    bound: float
    """What ``measured`` is compared with."""

    above: bool
    """Whether ``measured`` must lie above ``bound`` (or, for "at least", on it); False: below."""

    inclusive: bool = False
    """Whether ``measured`` may equal ``bound``."""

    @property
    def passed(self) -> bool:
        """Whether the point estimate meets the demand."""
        if self.measured == self.bound:
            return self.inclusive
        return (self.measured > self.bound) == self.above

    def to_dict(self) -> dict[str, Any]:
        """All fields and whether the gate was passed, as JSON values."""
        return {**asdict(self), "passed": self.passed}


@dataclass(frozen=True)
class Binding:
    """One relabelling: which images, how many made-up words, and the least score."""

    family: str
    ways: int
    bound: float
    described: str

    @property
    def folder(self) -> str:
        """Name of the folder of its cell."""
        return f"relabel_{self.family}_{self.ways}"


SIXTEEN = "icl_16"
SHOTS = 8
BINDINGS = (
    Binding("colour", 2, 85.0, "binding, 2 made-up words for colours"),
    Binding("colour", 4, 60.0, "binding, 4 made-up words for colours"),
    Binding("garment", 2, 60.0, "binding, 2 made-up words for garments, a family that never had any"),
)


def check_gates(
    *,
    output_dir: str | Path = "runs/gates",
    model: str = "embedded",
    seed: int = 0,
    train_size: int = 300,
    query_size: int = 500,
    relabel_size: int = 200,
    fresh: bool = False,
    announce: Announce | None = None,
    note: Callable[[str], None] | None = None,
) -> list[Gate]:
    """Run what the gates need and hold the scores to them.

    Args:
        output_dir: Gets ``gates.json``, a quickstart in ``quickstart/``, and a folder per further cell.
        model: As for ``load_backbone``.
        seed: Seed of every cell. The questions stay the same.
        train_size: Number of easy-VQA training questions.
        query_size: Number of easy-VQA test questions.
        relabel_size: Number of questions per relabelling.
        fresh: Do everything again. False keeps finished cells of the same run.
        announce: Called before each cell of the quickstart.
        note: Called with a line before each further cell.

    Returns:
        The gates in a fixed order, passed or not.

    Raises:
        InputError: No such model, a size out of range, or an ``output_dir`` that holds other runs.
        RunError: A cell failed.
    """
    folder, say = Path(output_dir), note or (lambda _: None)
    # First, so that a wrong size is refused before minutes of training.
    relabelled = [relabel.load(family=b.family, ways=b.ways, shots=SHOTS, query_size=relabel_size) for b in BINDINGS]
    done = quickstart(
        output_dir=folder / "quickstart", model=model, seed=seed, train_size=train_size, query_size=query_size,
        fresh=fresh, announce=announce,
    )  # fmt: skip
    if fresh:
        for further in (SIXTEEN, *(binding.folder for binding in BINDINGS)):
            clear_cell(folder / further)
    backbone = load_backbone(model)
    say("16 demonstrations")
    data = easy_vqa.load(support_size=train_size, query_size=query_size)
    rows = [*done.summary["rows"], _sixteen_shots(folder / SIXTEEN, backbone, data, seed).row(OPEN, folder)]
    scores = {_key(row): row for row in rows if row["subset"] == OPEN}
    gates = [*_headline(scores), *_in_context(scores)]
    for binding, episodes in zip(BINDINGS, relabelled, strict=True):
        say(binding.described)
        gates.append(_bind(folder, backbone, binding, episodes, seed))
    gates.append(_control(scores))
    record = {
        "kind": "gates",
        "config": {"model": backbone.name, "revision": backbone.revision, "train_size": train_size},
        "seed": seed,
        "results": [gate.to_dict() for gate in gates],
        "environment": records.environment(),
        "volatile": {"host": records.host()},
    }
    records.write_json(folder / "gates.json", record)
    return gates


Rows = Mapping[tuple[str, int, str | None], Mapping[str, Any]]


def _key(row: Mapping[str, Any]) -> tuple[str, int, str | None]:
    return row["method"], row["shots"], row["control"]


def _sixteen_shots(folder: Path, backbone: Backbone, data: TaskData, seed: int) -> Finished:
    subsets = {OPEN: [example.id for example in data.queries if example.meta[OPEN]]}
    return run_cell(
        Cell("icl", shots=16, seed=seed), backbone, data, task="easy_vqa", metric="exact_match", output_dir=folder,
        subsets=subsets,
    )  # fmt: skip


def _score(row: Mapping[str, Any]) -> tuple[float, Interval]:
    low, high = row["score_ci95"]
    return row["score"], (low, high)


def _headline(scores: Rows) -> list[Gate]:
    """The best method must solve the open questions, and none may solve them all."""
    best, interval = max(_score(row) for row in scores.values() if row["control"] is None)
    return [
        Gate("best method on the open questions", best, interval, 85.0, above=True),
        Gate("no method at 100 on the open questions", best, interval, 100.0, above=False),
    ]


def _in_context(scores: Rows) -> list[Gate]:
    """Zero-shot must fail, demonstrations must help, and more of them must not hurt."""
    zero, interval = _score(scores["zero_shot", 0, None])
    four, eight, sixteen = (float(scores["icl", shots, None]["score"]) for shots in (4, 8, 16))
    return [
        Gate("zero-shot on the open questions", zero, interval, 35.0, above=False),
        Gate("8 demonstrations over zero-shot", eight - zero, None, 20.0, above=True, inclusive=True),
        Gate("16 demonstrations over 4", sixteen - four, None, -3.0, above=True, inclusive=True),
    ]


def _bind(folder: Path, backbone: Backbone, binding: Binding, data: TaskData, seed: int) -> Gate:
    cell = run_cell(
        Cell("icl", shots=SHOTS, seed=seed), backbone, data, task="relabel", metric="exact_match",
        output_dir=folder / binding.folder,
    )  # fmt: skip
    score, interval = _score(cell.row("all", folder))
    return Gate(f"{binding.described}, {SHOTS} demonstrations", score, interval, binding.bound, above=True)


def _control(scores: Rows) -> Gate:
    """A random language model, adapted alike, must be far behind: else the task shows nothing."""
    gap = scores["hificl", 0, None]["score"] - scores["hificl", 0, RANDOM_LM]["score"]
    return Gate("HiFICL over HiFICL on a random language model", gap, None, 15.0, above=True, inclusive=True)


def failed(gates: Sequence[Gate]) -> list[Gate]:
    """Return the gates that were not passed."""
    return [gate for gate in gates if not gate.passed]


def as_markdown(results: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of gates as they stand in ``gates.json``, one row each, with its lines ended."""
    lines = ["| gate | demanded | measured | 95 % interval | |", "|---|---|---|---|---|"]
    for gate in results:
        sign = ("at least" if gate["inclusive"] else "above") if gate["above"] else "below"
        interval = "{:.1f} to {:.1f}".format(*gate["interval"]) if gate["interval"] else ""
        passed = "passed" if gate["passed"] else "**failed**"
        lines.append(
            f"| {gate['name']} | {sign} {gate['bound']:.0f} | {gate['measured']:.1f} | {interval} | {passed} |"
        )
    return "\n".join(lines) + "\n"
