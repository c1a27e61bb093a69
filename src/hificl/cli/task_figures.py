"""What a task adds to its metric, with what the command line knows: its root, the model, the demonstrations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from hificl.cli.task_data import Rows

if TYPE_CHECKING:
    from hificl.backbones import Backbone
    from hificl.cli.eval import EvalOptions
    from hificl.data import Example
    from hificl.run import Run


def postprocessing(chosen: EvalOptions, rows: Rows) -> Callable[[str], str] | None:
    """How answers of the task are brought into the form that is scored; None where they are scored as they are."""
    from hificl.evaluation import POSTPROCESS
    from hificl.tasks.benchmarks.stemming import learn_stems

    if rows.task is None or rows.task.name not in POSTPROCESS:
        return None
    # OK-VQA tells in its training answers how it stems them; the rules are for what it does not tell.
    return partial(POSTPROCESS[rows.task.name], words=learn_stems(chosen.root or ""))


def details_of(chosen: EvalOptions, rows: Rows, subject: Backbone | Run, support: Sequence[Example]) -> Any:
    """The further figures of a task; None where there are none."""
    from hificl.backbones import Backbone
    from hificl.evaluation import DETAILS, demonstration_chooser
    from hificl.evaluation.likelihood import share_of_yes
    from hificl.evaluation.task_scoring import ranked_by_yes

    if rows.task is None:
        return None
    if rows.task.name != "hateful_memes":
        return DETAILS.get(rows.task.name)
    backbone = subject if isinstance(subject, Backbone) else subject.backbone
    choose = demonstration_chooser(backbone, support, shots=chosen.shots, retrieval=chosen.retrieval, seed=rows.seed)

    def probability(example: Example) -> float:
        return share_of_yes(backbone, subject.model, example, demonstrations=choose(example))

    return ranked_by_yes(probability)
