"""Tasks: named data sets with a fixed support and query set. ``Task.load`` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hificl.tasks.easy_vqa import EASY_VQA
from hificl.tasks.floors import blind_answers, majority_answers
from hificl.tasks.task import Task, TaskData

TASKS: Mapping[str, Task] = MappingProxyType({task.name: task for task in (EASY_VQA,)})
"""Every task by name."""

__all__ = ["TASKS", "Task", "TaskData", "blind_answers", "majority_answers"]
