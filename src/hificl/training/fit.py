"""A run of a method whose values are computed, not trained: the same folder and record, without steps."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from accelerate import PartialState

from hificl import records
from hificl.adapters.stored import new_adapter
from hificl.backbones import Backbone
from hificl.data import Example
from hificl.methods import METHODS
from hificl.methods.fitting import Fitted, Fitting
from hificl.training.finished import count_stored, count_trainable, write_finished
from hificl.training.request import Request
from hificl.training.run_folder import RunFolder
from hificl.training.vision_features import FeatureCounts, remembered_vision_features


def fit(request: Request, fitting: Fitting, folder: RunFolder, identity: Mapping[str, Any], resume: bool) -> None:
    """Fit a method and leave a finished run. Nothing is written before the fit is done, so nothing of it can be left.

    Raises:
        InputError: The method refuses the examples or its options.
        RunError: A file could not be written.
    """
    records.reset_peak_memory()
    started = time.monotonic()
    with remembered_vision_features(fitting.backbone.model) as features:
        fitted: Fitted = METHODS[request.method].implementation.fit(fitting, request.config)
    record = _record(request, fitting, fitted, identity, time.monotonic() - started, features)
    if PartialState().is_main_process:
        folder.claim(identity, resume)
        write_finished(folder, fitted.model, fitting.backbone, record)
    PartialState().wait_for_everyone()


def _record(
    request: Request,
    fitting: Fitting,
    fitted: Fitted,
    identity: Mapping[str, Any],
    seconds: float,
    features: FeatureCounts,
) -> dict[str, Any]:
    return {
        "kind": "train",
        "config": {name: value for name, value in identity.items() if name != "seed"},
        "seed": identity["seed"],
        "sample_ids": {"train": _ids(fitting.examples), "held_out": _ids(fitting.held_out)},
        "results": {
            "trainable_parameters": count_fitted(fitting.backbone, request),
            "stored_parameters": count_stored(fitted.model),
            "base_parameters": sum(parameter.numel() for parameter in fitting.backbone.model.parameters()),
            "steps": 0,
            "losses": [],
            "held_out": [],
            "best_step": None,
            "held_out_loss": None,
            "fit": dict(fitted.report),
        },
        "environment": records.environment(),
        "volatile": {
            "timing": {"train_seconds": seconds},
            "memory": {"peak_bytes": records.peak_memory_bytes()},
            "host": records.host(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "vision_features": features.to_dict(),
        },
    }


def count_fitted(backbone: Backbone, request: Request) -> int:
    """Return the number of parameters that a fit learns, such as the logits by which MTV chooses heads."""
    return count_trainable(new_adapter(backbone, request.config))


def _ids(examples: Sequence[Example]) -> list[str]:
    return [example.id for example in examples]
