"""The entry point through which lmms-eval (0.7 or later) finds hificl: ``lmms-eval --model hificl``."""

from __future__ import annotations

from typing import Any


def manifest() -> Any:
    """The manifest of the model class, in the type that the installed lmms-eval declares.

    Called by lmms-eval alone, for the entry point ``hificl`` of the group ``lmms_eval.models``; the class itself, and
    with it torch, is imported when somebody asks for it.
    """
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest(model_id="hificl", simple_class_path="hificl.lmms_eval_model.HificlModel")
