"""Tasks: named data sets with a fixed support and query set. ``Task.load`` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hificl.tasks.benchmarks import BENCHMARKS, as_task
from hificl.tasks.captions import CAPTIONS
from hificl.tasks.country_facts import CAPITALS, CURRENCIES, LANGUAGES
from hificl.tasks.easy_vqa import EASY_VQA
from hificl.tasks.emoji_groups import EMOJI_GROUPS
from hificl.tasks.flags import FLAGS
from hificl.tasks.floors import blind_answers, majority_answers, score_floors
from hificl.tasks.protocol import Protocol
from hificl.tasks.relabel import RELABEL
from hificl.tasks.sentiment import SENTIMENT
from hificl.tasks.task import Skipped, Task, TaskData, TaskWarning
from hificl.tasks.words import ANTONYMS, NOUN_KINDS

TASKS: Mapping[str, Task] = MappingProxyType(
    {
        task.name: task
        for task in (
            *(EASY_VQA, FLAGS, CAPTIONS, RELABEL),
            *(CAPITALS, CURRENCIES, LANGUAGES),
            *(NOUN_KINDS, SENTIMENT, ANTONYMS, EMOJI_GROUPS),
            *map(as_task, BENCHMARKS.values()),
        )
    }
)
"""Every task by name."""

__all__ = [
    "TASKS",
    "Protocol",
    "Skipped",
    "Task",
    "TaskData",
    "TaskWarning",
    "blind_answers",
    "majority_answers",
    "score_floors",
]
