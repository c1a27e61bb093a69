"""One process's part of a run: from the first or the last saved step to the adapter and the record."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from peft import PeftModel, set_peft_model_state_dict
from transformers import TrainingArguments

from hificl import records
from hificl.adapters.stored import WEIGHTS, read_tensors, save_adapter
from hificl.backbones import Backbone
from hificl.backbones.image_settings import image_settings
from hificl.errors import RunError
from hificl.training import checkpoints
from hificl.training.frozen_base import base_in_evaluation_mode
from hificl.training.holdout import LOSS, StopOnHoldout, best_step, should_stop
from hificl.training.loss import keeps_some_logits, takes_argument
from hificl.training.model_card import model_card
from hificl.training.request import Request
from hificl.training.run_folder import RunFolder
from hificl.training.samples import Batches, EncodedExamples, Visits, visiting_order
from hificl.training.trainer import AnswerTrainer
from hificl.training.vision_features import FeatureCounts, remembered_vision_features


@dataclass(frozen=True)
class Outcome:
    """What the training steps left."""

    history: list[dict[str, Any]]
    features: FeatureCounts
    seconds: float


@dataclass(frozen=True)
class Session:
    """Everything one process needs to take a run to its end."""

    model: PeftModel
    backbone: Backbone
    request: Request
    encoded: EncodedExamples
    held_out: EncodedExamples | None
    arguments: TrainingArguments
    folder: RunFolder

    def run(self, identity: Mapping[str, Any], resume: bool) -> None:
        """Train to the end and write the adapter and the record.

        Raises:
            RunError: The run failed. Complete checkpoints stay; if there is none, nothing stays.
        """
        self._on_main(lambda: self.folder.claim(identity, resume))
        records.reset_peak_memory()
        try:
            outcome = self._fit()
        except RunError:
            if self.arguments.should_save and not checkpoints.complete_checkpoints(self.folder.checkpoints):
                self.folder.clear()
            raise
        self._on_main(lambda: self._write(identity, outcome))

    def _fit(self) -> Outcome:
        """Take the steps that are left."""
        found = checkpoints.complete_checkpoints(self.folder.checkpoints)
        last = found[-1] if found else None
        history = checkpoints.logged(last) if last else []
        seconds = checkpoints.seconds_trained(last) if last else 0.0
        features = FeatureCounts()
        if last is None or not self._is_over(last, history):
            trainer = self._trainer(seconds)
            try:
                with base_in_evaluation_mode(self.model), remembered_vision_features(self.model) as features:
                    trainer.train(resume_from_checkpoint=str(last) if last else None)
            except torch.OutOfMemoryError as error:
                raise RunError(
                    f"step {trainer.state.global_step + 1}: out of GPU memory with micro_batch_size "
                    f"{self.request.recipe.micro_batch_size}; lower it (batch_size stays), or use smaller images."
                ) from error
            history, seconds, last = trainer.state.log_history, trainer.seconds, None
        best = best_step(history)
        chosen = last if best is None else self.folder.checkpoints / f"{checkpoints.PREFIX}{best}"
        if chosen is not None:
            set_peft_model_state_dict(self.model, read_tensors(chosen / WEIGHTS))
        return Outcome(history, features, seconds)

    def _is_over(self, last: Path, history: list[dict[str, Any]]) -> bool:
        """Whether a run was killed after its last step, before its adapter was written."""
        stopped = self.held_out is not None and should_stop(history, self.request.recipe.patience)
        return stopped or checkpoints.step_of(last) >= self.arguments.max_steps

    def _trainer(self, seconds_before: float) -> AnswerTrainer:
        recipe = self.request.recipe
        order_seed = self.arguments.seed if recipe.order_seed is None else recipe.order_seed
        visits = self.arguments.max_steps * recipe.batch_size
        base = self.backbone.model
        callbacks = []
        if self.held_out is not None:
            callbacks = [StopOnHoldout(max(1, len(self.encoded) // recipe.batch_size), recipe.patience)]
        return AnswerTrainer(
            self.model,
            self.arguments,
            collator=Batches(
                self.backbone,
                {"use_cache": False} if takes_argument(base, "use_cache") else {},
                keeps_some_logits(base),
            ),
            visits=Visits(self.encoded, visiting_order(len(self.encoded), visits, order_seed, recipe.reshuffle)),
            held_out=self.held_out,
            callbacks=callbacks,
            seconds_before=seconds_before,
        )

    def _write(self, identity: Mapping[str, Any], outcome: Outcome) -> None:
        """Write the adapter, then the record, then drop the checkpoints."""
        record = self._record(identity, outcome)
        base = {
            "name": self.backbone.name,
            "revision": self.backbone.revision,
            "prompt": self.backbone.prompt.to_dict(),
            "image_settings": image_settings(self.backbone),
        }
        information = {"format": 1, "base": base, "method": self.request.method, "task": identity["task"]}
        card = model_card(record, self.backbone.takes_images)
        save_adapter(self.model, self.folder.adapter, card, information)
        records.write_json(self.folder.record, record)
        shutil.rmtree(self.folder.checkpoints, ignore_errors=True)

    def _record(self, identity: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
        history = outcome.history
        held_out = [{"step": entry["step"], "loss": entry[LOSS]} for entry in history if LOSS in entry]
        lengths = self.encoded.lengths
        return {
            "kind": "train",
            "config": {name: value for name, value in identity.items() if name != "seed"},
            "seed": identity["seed"],
            "sample_ids": {
                "train": [example.id for example in self.encoded.examples],
                "held_out": [example.id for example in self.held_out.examples] if self.held_out else [],
            },
            "results": {
                "trainable_parameters": count_trainable(self.model),
                "base_parameters": sum(parameter.numel() for parameter in self.backbone.model.parameters()),
                "steps": max(entry["step"] for entry in history),
                "losses": [entry["loss"] for entry in history if "loss" in entry],
                "held_out": held_out,
                "best_step": best_step(history),
                "held_out_loss": min((entry["loss"] for entry in held_out), default=None),
                "tokens": {"min": min(lengths), "mean": sum(lengths) / len(lengths), "max": max(lengths)},
                "logits": "answer positions" if keeps_some_logits(self.backbone.model) else "all positions",
            },
            "environment": records.environment(),
            "volatile": {
                "timing": {"train_seconds": outcome.seconds},
                "memory": {"peak_bytes": records.peak_memory_bytes()},
                "host": records.host(),
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "vision_features": outcome.features.to_dict(),
            },
        }

    def _on_main(self, act: Callable[[], None]) -> None:
        """Let the main process act while the others wait."""
        if self.arguments.should_save:
            act()
        PartialState().wait_for_everyone()


def count_trainable(model: torch.nn.Module) -> int:
    """Return the number of parameters that need a gradient."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
