"""The main job on one page: a task, six ways to answer it, one table, one record each.

Zero-shot, 4 and 8 demonstrations, LoRA, HiFICL, and HiFICL on a random language model, on the same questions. What is
done is kept, so a run that was stopped goes on where it stopped.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hificl import records
from hificl.backbones import Backbone, load_backbone
from hificl.cell import RANDOM_LM, RECORD, Cell, Finished, clear_cell, run_cell
from hificl.data import Example, load_image
from hificl.errors import InputError, RunError
from hificl.evaluation import generate_answers
from hificl.methods import METHODS
from hificl.metrics import METRICS
from hificl.run import load
from hificl.tasks import TaskData, blind_answers, easy_vqa, majority_answers
from hificl.training import Plan, plan
from hificl.training.recipes import PLAIN
from hificl.training.request import resolve

TASK = easy_vqa.EASY_VQA
OPEN = "open"
"""The headline subset: questions that cannot be answered with yes or no."""

RELOAD = "reload.json"
SHOWN_TYPES = ("colour", "shape", "yes/no")

Announce = Callable[["Step"], None]


@dataclass(frozen=True)
class Step:
    """Where a quickstart is, told before each cell."""

    cell: Cell
    position: int
    """Number of the cell, from 1."""

    total: int
    """Number of cells."""

    done: bool
    """Whether it was finished in an earlier session."""

    seconds_left: float | None
    """Rough time until the end, this cell included; None before anything was measured."""


@dataclass(frozen=True)
class Outcome:
    """What a quickstart leaves."""

    summary: Mapping[str, Any]
    """The content of ``summary.json``."""

    floors: Mapping[str, Mapping[str, float]]
    """Scores without looking at any image, by subset: ``majority`` and ``blind``."""

    examples: Sequence[Mapping[str, Any]]
    """Three questions with their answers, the first of each type in the query set."""

    folder: Path
    """Where all of it lies."""


def cells(seed: int) -> list[Cell]:
    """Return the cells of a quickstart, the quick ones first."""
    return [
        Cell("zero_shot", seed=seed),
        Cell("icl", shots=4, seed=seed),
        Cell("icl", shots=8, seed=seed),
        Cell("lora", seed=seed),
        Cell("hificl", seed=seed),
        Cell("hificl", seed=seed, control=RANDOM_LM),
    ]


def quickstart(
    *,
    output_dir: str | Path = "runs/quickstart",
    model: str = "embedded",
    seed: int = 0,
    train_size: int = 300,
    query_size: int = 500,
    fresh: bool = False,
    announce: Announce | None = None,
) -> Outcome:
    """Compare six ways to answer easy-VQA on a frozen model.

    Args:
        output_dir: Gets ``summary.json``, a folder per cell with record and adapter, ``floors.json``, ``examples/``.
        model: As for ``load_backbone``.
        seed: Seed of every cell. The questions stay the same.
        train_size: Number of training questions; demonstrations come from the same ones.
        query_size: Number of test questions.
        fresh: Do everything again. False keeps finished cells of the same run.
        announce: Called before each cell.

    Returns:
        The summary, floors and examples.

    Warns:
        UserWarning: ``output_dir`` was made with other versions of hificl or its libraries; all of it is run again.

    Raises:
        InputError: No such model, a size out of range, or an ``output_dir`` that holds another quickstart.
        RunError: A cell failed, or the reloaded adapter answers otherwise than the trained one.
    """
    folder = Path(output_dir)
    backbone = load_backbone(model)
    data = easy_vqa.load(support_size=train_size, query_size=query_size)
    _claim(folder, backbone, seed, train_size, query_size, fresh)
    finished = _run_cells(folder, backbone, data, seed, announce)
    _check_reload(next(one for one in finished if one.cell == Cell("hificl", seed=seed)), data.queries)
    floors = _floors(folder, data)
    examples = _write_examples(folder, data.queries, finished)
    rows = [one.row(subset, folder) for one in finished for subset in ("all", OPEN)]
    summary = {"task": TASK.name, "backbone": backbone.name, "train_size": train_size, "rows": rows}
    records.write_json(folder / "summary.json", summary)
    return Outcome(summary, floors, examples, folder)


def plan_quickstart(
    *, model: str = "embedded", seed: int = 0, train_size: int = 300, query_size: int = 500
) -> dict[str, Plan]:
    """Return what the trained cells would do, by method; nothing is written. Errors are those of :func:`quickstart`."""
    backbone = load_backbone(model)
    data = easy_vqa.load(support_size=train_size, query_size=query_size)
    return {method: plan(backbone, data.support, method=method, seed=seed) for method in ("lora", "hificl")}


def _claim(folder: Path, backbone: Backbone, seed: int, train_size: int, query_size: int, fresh: bool) -> None:
    """Make the folder that of this run; what other versions of the code or its libraries have left is removed."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: this is a file; choose a folder.")
    asked = {
        "model": backbone.name,
        "revision": backbone.revision,
        "seed": seed,
        "train_size": train_size,
        "query_size": query_size,
    }
    file, environment = folder / "quickstart.json", records.environment()
    there = records.read_json(file) if file.is_file() and not fresh else None
    if there is not None:
        for name, value in asked.items():
            if there["run"].get(name) != value:
                raise InputError(
                    f"{folder}: holds a quickstart with {name} = {there['run'].get(name)!r}, this one has {value!r}; "
                    "choose another folder with --output, or replace it with --fresh."
                )
    before = there["environment"] if there is not None else environment
    stale = sorted(name for name, version in environment.items() if before.get(name) != version)
    if stale:
        warnings.warn(f"{folder}: made with another {', '.join(stale)}; everything is run again.", stacklevel=3)
    if fresh or stale:
        for cell in cells(seed):
            (folder / cell.name / RELOAD).unlink(missing_ok=True)
            clear_cell(folder / cell.name)
        (folder / "summary.json").unlink(missing_ok=True)
    records.write_json(file, {"kind": "quickstart", "run": asked, "environment": environment})


def _run_cells(
    folder: Path, backbone: Backbone, data: TaskData, seed: int, announce: Announce | None
) -> list[Finished]:
    subsets = {OPEN: [example.id for example in data.queries if example.meta[OPEN]]}
    planned = cells(seed)
    work = [_work(cell, backbone, len(data.support), len(data.queries)) for cell in planned]
    finished: list[Finished] = []
    seconds = worked = 0.0
    for position, cell in enumerate(planned):
        done = (folder / cell.name / RECORD).is_file()
        left = seconds / worked * sum(work[position:]) if worked else None
        if announce is not None:
            announce(Step(cell, position + 1, len(planned), done, left))
        started = time.perf_counter()
        finished.append(
            run_cell(
                cell, backbone, data, task=TASK.name, metric=TASK.metric, output_dir=folder / cell.name, subsets=subsets
            )
        )
        if not done:
            seconds += time.perf_counter() - started
            worked += work[position]
    return finished


def _work(cell: Cell, backbone: Backbone, support: int, queries: int) -> float:
    """Rough work of a cell, in answers to a question without demonstrations; a visit in training is worth four."""
    answers = float(queries * (cell.shots + 1))
    if not METHODS[cell.method].learned:
        return answers
    recipe = resolve(backbone, cell.method, PLAIN, {}).recipe
    return answers + 4.0 * recipe.total_steps(support) * recipe.batch_size


def _check_reload(trained: Finished, queries: Sequence[Example]) -> None:
    """Load the stored adapter with a base of its own and compare every answer.

    Raises:
        RunError: An answer differs. The message names the first question.
    """
    file = trained.folder / RELOAD
    if file.is_file():
        return
    reloaded = load(trained.folder / "adapter")
    texts = generate_answers(reloaded.backbone, reloaded.model, queries).texts
    for one, text in zip(trained.predictions, texts, strict=True):
        if one["prediction"] != text:
            raise RunError(
                f"{trained.folder / 'adapter'}: {one['id']} was answered {one['prediction']!r} after training and "
                f"{text!r} after reloading; the stored adapter is not the trained one, run again with --fresh."
            )
    record = {"kind": "reload", "identical_answers": len(texts), "environment": records.environment()}
    records.write_json(file, record)


def _floors(folder: Path, data: TaskData) -> dict[str, dict[str, float]]:
    """Score answers that never saw an image, and keep them as a record."""
    full = easy_vqa.read_split("train")
    floors: dict[str, dict[str, float]] = {}
    for subset in ("all", OPEN):
        support, queries, prior = (
            [one for one in examples if subset == "all" or one.meta[OPEN]]
            for examples in (data.support, data.queries, full)
        )
        accepted = [list(query.answers) for query in queries]
        measure = METRICS[TASK.metric]
        floors[subset] = {
            "majority": measure(majority_answers(support, queries), accepted).score,
            "blind": measure(blind_answers(prior, queries), accepted).score,
        }
    record = {
        "kind": "floors",
        "config": {
            "majority": "most frequent answer of the training questions that were used",
            "blind": "most frequent answer of the same question in the full training split",
        },
        "sample_ids": {"queries": [query.id for query in data.queries]},
        "results": floors,
        "environment": records.environment(),
    }
    records.write_json(folder / "floors.json", record)
    return floors


def _write_examples(folder: Path, queries: Sequence[Example], finished: Sequence[Finished]) -> list[dict[str, Any]]:
    """Save the first question of each type, so that nobody picks the nice ones: images, JSON and a page to read."""
    chosen = [next((one for one in queries if one.meta["type"] == kind), None) for kind in SHOWN_TYPES]
    (folder / "examples").mkdir(parents=True, exist_ok=True)
    answers = {one.cell.name: {item["id"]: item["prediction"] for item in one.predictions} for one in finished}
    shown = []
    for number, query in enumerate((one for one in chosen if one is not None), start=1):
        image = folder / "examples" / f"{number}.png"
        load_image(query.images[0], place=f"sample {query.id!r}").save(image)
        shown.append(
            {
                "id": query.id,
                "image": str(image.relative_to(folder)),
                "question": query.question,
                "answer": query.answers[0],
                "predictions": {name: texts[query.id] for name, texts in answers.items()},
            }
        )
    records.write_json(folder / "examples" / "examples.json", shown)
    records.write_atomic(folder / "examples" / "examples.md", _page(shown).encode())
    return shown


def _page(shown: Sequence[Mapping[str, Any]]) -> str:
    lines = ["# Three questions", "", "The first question of each type in the query set.", ""]
    for one in shown:
        lines += [f"![{one['id']}]({Path(one['image']).name})", "", f"**{one['question']}**", "", "| who | answer |"]
        lines += ["| --- | --- |", f"| the data set | {one['answer']} |"]
        lines += [f"| {name} | {_inline(text) or '(nothing)'} |" for name, text in one["predictions"].items()]
        lines.append("")
    return "\n".join(lines)


def _inline(text: str) -> str:
    """An answer as a cell of a table: a model may say anything."""
    return "".join(sign if sign.isprintable() and sign != "|" else "\ufffd" for sign in text)
