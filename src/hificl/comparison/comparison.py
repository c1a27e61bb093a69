"""``compare``: every method on the same support set, prompts and queries, resumably, with one summary at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hificl import records
from hificl.backbones import Backbone
from hificl.cell import Finished, Setting, clear_cell
from hificl.cell.identity import first_difference, plain, setting_values
from hificl.comparison.agenda import Agenda, Announce, Job, rough_work
from hificl.comparison.cells import Conditions, failure, finished_cell, make_cell, run_one
from hificl.comparison.overrides import check_overrides, split_overrides
from hificl.comparison.page import as_markdown
from hificl.comparison.search import RECORD as SEARCH
from hificl.comparison.search import run_search, trials_of, validation_size
from hificl.comparison.summary import summarise
from hificl.comparison.values import Values, stored_values
from hificl.comparison.variants import ALL, VARIANTS, Variant, find_variants
from hificl.errors import InputError
from hificl.tasks import TaskData
from hificl.training.identity import backbone_values

SUMMARY = "summary.json"

CLAIM = "comparison.json"
"""What a folder is for: a comparison is taken up only under the same conditions."""


@dataclass(frozen=True)
class Comparison:
    """What a comparison leaves."""

    summary: Mapping[str, Any]
    """The content of ``summary.json``."""

    folder: Path
    """Where all of it lies."""

    @property
    def failed(self) -> list[Mapping[str, Any]]:
        """The cells without a result: ``variant``, ``seed`` and ``error``."""
        return list(self.summary["failed"])


def compare(
    backbone: Backbone,
    data: TaskData,
    *,
    task: str,
    metric: str = "exact_match",
    methods: str | Sequence[str] = ALL,
    seeds: int | Sequence[int] = 1,
    shots: int | None = None,
    output_dir: str | Path,
    setting: Setting | None = None,
    overrides: Mapping[str, Any] | None = None,
    search: bool = False,
    fresh: bool = False,
    announce: Announce | None = None,
) -> Comparison:
    """Fit and score methods under the same conditions, and test each against HiFICL on the same queries.

    Args:
        backbone: The frozen model, with the prompt form of the task.
        data: The support set that every method learns from or shows, and the queries.
        task: Name of the task, for the records and the stored values.
        metric: Name in ``METRICS``.
        methods: As for ``find_variants``: ``"all"``, or names of methods and variants.
        seeds: Their number, from 0, or the seeds themselves.
        shots: Demonstrations of in-context learning; None takes the chosen number, else 8.
        output_dir: Gets a folder per variant and seed, ``summary.json``, ``comparison.md`` and, with ``search``,
            ``search/``. What is finished there is not done again.
        setting: How the queries are answered; None decodes greedily.
        overrides: Fields of the recipe, for every method, or ``NAME.FIELD`` for the method or variant of that name.
        search: Search the hyper-parameters on a fifth of the support set. False takes the stored ones, else defaults.
        fresh: Do everything again.
        announce: Called before each cell.

    Returns:
        The summary. A method that failed is a hole in it, with the reason.

    Raises:
        InputError: No such method, no seed, fewer than one shot, an override that the method does not have, or an
            ``output_dir`` that holds something else or more than is asked for.
    """
    seen = backbone.takes_images and all(one.images for one in (*data.support, *data.queries))
    variants = find_variants(methods, images=seen)
    chosen_seeds = seeds_of(seeds, shots)
    conditions = Conditions(backbone, data, task, metric, setting, shots, chosen_seeds[0])
    folder = Path(output_dir)
    own = split_overrides(overrides or {}, variants)
    check_overrides(backbone, variants, own)
    _claim(folder, conditions, fresh)
    _keep_summary(folder, variants, chosen_seeds)
    values = stored_values(backbone, task)
    agenda = Agenda(_jobs(conditions, variants, chosen_seeds, values, own, search), announce)
    if search:
        values = run_search(conditions, variants, folder / "search", agenda, own)
    finished: dict[str, dict[int, Finished]] = {one.name: {} for one in variants}
    failed = []
    for seed in chosen_seeds:
        for variant in variants:
            ended = _run(variant, values.options(variant, own[variant.name]), seed, conditions, folder, agenda)
            if isinstance(ended, Finished):
                finished[variant.name][seed] = ended
            else:
                failed.append({"variant": variant.name, "seed": seed, "error": failure(ended)})
    summary = summarise(conditions, variants, chosen_seeds, finished, failed, values, own, folder)
    records.write_json(folder / SUMMARY, summary)
    records.write_atomic(folder / "comparison.md", as_markdown(summary).encode())
    return Comparison(summary, folder)


def seeds_of(seeds: int | Sequence[int], shots: int | None = None) -> list[int]:
    """Return the seeds of a comparison.

    Raises:
        InputError: There is none, or a number of demonstrations below 1.
    """
    chosen = list(range(seeds)) if isinstance(seeds, int) else list(dict.fromkeys(seeds))
    if not chosen:
        raise InputError(f"compare: seeds is {seeds!r}; give their number, 1 or more, or the seeds themselves.")
    if shots is not None and shots < 1:
        raise InputError(f"compare: shots is {shots}; icl needs 1 or more, so give some or leave it out.")
    return chosen


def _run(
    variant: Variant, options: Mapping[str, Any], seed: int, conditions: Conditions, folder: Path, agenda: Agenda
) -> Finished | Exception:
    """Run one cell, or read it where it is done."""
    place = folder / variant.name / f"seed_{seed}"
    cell = make_cell(variant, options, seed, conditions.shots)
    done = finished_cell(cell, conditions, place)
    with agenda.step(done=done is not None):
        return done or run_one(cell, conditions, place)


def _jobs(
    conditions: Conditions,
    variants: Sequence[Variant],
    seeds: Sequence[int],
    values: Values,
    own: Mapping[str, Mapping[str, Any]],
    search: bool,
) -> list[Job]:
    """Everything that will be run, in order, with its rough work; chosen values are not yet known in a search."""
    support, queries = len(conditions.data.support), len(conditions.data.queries)
    held = validation_size(support)

    def job(label: str, kind: str, variant: Variant, options: Mapping[str, Any], learn: int, answer: int) -> Job:
        cell = make_cell(variant, options, 0, conditions.shots)
        return Job(label, kind, rough_work(conditions.backbone, cell, learn, answer))

    jobs = []
    for method, number, trial in trials_of(variants) if search else []:
        label, options = f"search {method}, trial {number + 1}", {**trial, **own[method]}
        jobs.append(job(label, label, VARIANTS[method], options, support - held, held))
    for seed in seeds:
        for one in variants:
            options = values.options(one, own[one.name])
            jobs.append(job(f"{one.name}, seed {seed}", one.name, one, options, support, queries))
    return jobs


def _claim(folder: Path, conditions: Conditions, fresh: bool) -> None:
    """Make the folder that of this comparison; with ``fresh`` what is there is removed.

    Raises:
        InputError: It holds another one, or is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: this is a file; choose a folder as output_dir.")
    asked = {
        "task": conditions.task,
        "model": conditions.backbone.name,
        "revision": conditions.backbone.revision,
        "metric": conditions.metric,
        "train_size": len(conditions.data.support),
        "query_size": len(conditions.data.queries),
        "support": records.content_hash([one.id for one in conditions.data.support]),
        "queries": records.content_hash([one.id for one in conditions.data.queries]),
        "contents": conditions.contents,
        "base": backbone_values(conditions.backbone),
        "setting": setting_values(conditions.setting),
    }
    file = folder / CLAIM
    if fresh:
        for place in [*folder.glob("*/seed_*"), *folder.glob("search/*/trial_*")]:
            if place.is_dir():
                clear_cell(place)
        for name in (SUMMARY, "comparison.md", f"search/{SEARCH}"):
            (folder / name).unlink(missing_ok=True)
    elif file.is_file() and (found := first_difference(records.read_json(file), plain(asked))):
        raise InputError(
            "{}: holds a comparison with {} = {!r}, this one has {!r}; choose another output_dir, or fresh=True to "
            "replace it.".format(folder, *found)
        )
    records.write_json(file, {"kind": "comparison", **asked})


def _keep_summary(folder: Path, variants: Sequence[Variant], seeds: Sequence[int]) -> None:
    """Refuse to replace a summary by one of fewer cells.

    Raises:
        InputError: The message names what the folder holds beside what is asked for.
    """
    if not (folder / SUMMARY).is_file():
        return
    asked = {(one.name, seed) for one in variants for seed in seeds}
    rows = records.read_json(folder / SUMMARY)["rows"]
    there = dict.fromkeys((row["variant"] or row["method"], row["seed"]) for row in rows)
    if missing := [f"{name}, seed {seed}" for name, seed in there if (name, seed) not in asked]:
        raise InputError(
            f"{folder}: its summary has {len(missing)} cells more than are asked for, such as {missing[0]}; name all "
            "its methods and seeds, choose another output_dir, or fresh=True to replace it."
        )
