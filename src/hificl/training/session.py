"""One process's part of a run: from the first or the last saved step to the adapter and the record."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from peft import PeftModel, set_peft_model_state_dict
from transformers import TrainingArguments

from hificl import records
from hificl.adapters.stored import WEIGHTS, read_tensors
from hificl.backbones import Backbone
from hificl.backbones.arguments import keeps_some_logits, takes_argument
from hificl.errors import HificlError, RunError
from hificl.training import checkpoints
from hificl.training.averaging import MeanOfLastSteps
from hificl.training.compiled_layers import compiled_layers
from hificl.training.finished import count_stored, count_trainable, write_finished
from hificl.training.frozen_base import base_in_evaluation_mode
from hificl.training.holdout import LOSS, StopOnHoldout, best_step, should_stop
from hificl.training.lessons import TEACHER_TOKENS, LessonBatches, Lessons
from hificl.training.objective import Objective
from hificl.training.recomputed_layers import recomputed_layers
from hificl.training.request import Request
from hificl.training.run_folder import RunFolder
from hificl.training.samples import Batches, EncodedExamples, Visits
from hificl.training.trainer import AnswerTrainer
from hificl.training.vision_features import FeatureCounts, remembered_vision_features

START = "start"
"""Name of the folder, beside the checkpoints, with the weights before the first step."""

PREPARED = "prepared.json"
"""Name of the file, beside the checkpoints, with the report of a preparation."""


@dataclass(frozen=True)
class Outcome:
    """What the training steps left."""

    history: list[dict[str, Any]]
    features: FeatureCounts
    seconds: float
    prepared: Mapping[str, Any] | None
    """What ``prepare`` of the method reported, None for a method without one."""


@dataclass(frozen=True)
class Session:
    """Everything one process needs to take a run to its end."""

    model: PeftModel
    backbone: Backbone
    request: Request
    visits: Visits | Lessons
    held_out: EncodedExamples | None
    arguments: TrainingArguments
    folder: RunFolder
    prepare: Callable[[PeftModel], Mapping[str, Any] | None] | None = None
    """Fills the adapter before the first step of the run and reports; None where there was nothing to do."""

    @property
    def encoded(self) -> EncodedExamples:
        """The training examples."""
        return self.visits.encoded

    def run(self, identity: Mapping[str, Any], resume: bool) -> None:
        """Train to the end and write the adapter and the record.

        Raises:
            RunError: The run failed. Complete checkpoints stay; if there is none, nothing stays.
            InputError: Likewise: a teacher's prompt cannot be aligned.
        """
        self._on_main(lambda: self.folder.claim(identity, resume))
        records.reset_peak_memory()
        try:
            outcome = self._fit()
        except HificlError:
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
        prepared, seconds = self._prepared(last, seconds)
        features, mean = FeatureCounts(), self._mean(last)
        if self._may_keep_start and last is None:
            self._on_main(self._save_start)
            self.arguments.eval_on_start = True
        if self.arguments.max_steps > 0 and (last is None or not self._is_over(last, history)):
            objective = Objective(self.backbone, self.model, self.request.recipe)
            trainer = self._trainer(objective, seconds, mean)
            features = self._steps(trainer, objective, last)
            history, seconds, last = trainer.state.log_history, trainer.seconds, None
        best = best_step(history)
        chosen = last if best is None else self._state(best)
        if chosen is not None:
            set_peft_model_state_dict(self.model, read_tensors(chosen / WEIGHTS))
        if mean is not None:
            mean.apply()
        return Outcome(history, features, seconds, prepared)

    def _mean(self, last: Path | None) -> MeanOfLastSteps | None:
        """Average the last steps, if the recipe says so, from where the last checkpoint is."""
        share = self.request.recipe.average
        if share == 0:
            return None
        mean = MeanOfLastSteps(self.model, self.arguments.max_steps, share)
        if last is not None:
            mean.load(last)
        return mean

    @property
    def _may_keep_start(self) -> bool:
        """Whether the start may be better than all that follows, so that step 0 may be what is kept."""
        from_demonstrations = getattr(self.request.config, "init", "random") == "demonstrations"
        return from_demonstrations and self.held_out is not None

    def _save_start(self) -> None:
        self.model.save_pretrained(str(self._state(0)), save_embedding_layers=False)
        checkpoints.seal(self._state(0), 0.0)

    def _state(self, step: int) -> Path:
        """Return the folder of the weights after a step; 0 is the start."""
        return self.folder.checkpoints / (f"{checkpoints.PREFIX}{step}" if step else START)

    def _steps(self, trainer: AnswerTrainer, objective: Objective, last: Path | None) -> FeatureCounts:
        """Let the Trainer take its steps, with all that holds meanwhile."""
        recipe = self.request.recipe
        seeing = [self.model, *([objective.teacher.model] if objective.teacher else [])]
        with ExitStack() as meanwhile:
            meanwhile.callback(objective.close)
            meanwhile.enter_context(base_in_evaluation_mode(self.model))
            features = meanwhile.enter_context(remembered_vision_features(*seeing))
            if recipe.compile:
                meanwhile.enter_context(compiled_layers(self.model))
            if recipe.gradient_checkpointing:
                meanwhile.enter_context(recomputed_layers(self.model))
            try:
                trainer.train(resume_from_checkpoint=str(last) if last else None)
            except torch.OutOfMemoryError as error:
                raise RunError(
                    f"step {trainer.state.global_step + 1}: out of GPU memory with micro_batch_size "
                    f"{recipe.micro_batch_size}; lower it (batch_size stays), set gradient_checkpointing=True, or use "
                    "smaller images."
                ) from error
        return features

    def _prepared(self, last: Path | None, seconds: float) -> tuple[Mapping[str, Any] | None, float]:
        """Prepare a fresh adapter; a resumed one has its buffers in the checkpoint, and its report lies beside it.

        Returns:
            The report, and the seconds trained with those of the preparation.
        """
        if self.prepare is None:
            return None, seconds
        report = self.folder.checkpoints / PREPARED
        if last is None:
            started = time.monotonic()
            values = self.prepare(self.model.eval())
            seconds += time.monotonic() - started
            if values is not None:
                self._on_main(lambda: records.write_json(report, values))
            return values, seconds
        return records.read_json(report) if report.is_file() else None, seconds

    def _is_over(self, last: Path, history: list[dict[str, Any]]) -> bool:
        """Whether a run was killed after its last step, before its adapter was written."""
        stopped = self.held_out is not None and should_stop(history, self.request.recipe.patience)
        return stopped or checkpoints.step_of(last) >= self.arguments.max_steps

    def _trainer(self, objective: Objective, seconds_before: float, mean: MeanOfLastSteps | None) -> AnswerTrainer:
        recipe = self.request.recipe
        callbacks = []
        if self.held_out is not None:
            callbacks = [StopOnHoldout(max(1, len(self.encoded) // recipe.batch_size), recipe.patience)]
        students = self._batches(recipe.needs_logits)
        collator: Batches | LessonBatches = students
        if isinstance(self.visits, Lessons):
            limit = TEACHER_TOKENS if self.backbone.device.type == "cpu" else 0
            collator = LessonBatches(students, self._batches(recipe.teacher == "kl"), limit)
        return AnswerTrainer(
            self.model,
            self.arguments,
            objective=objective,
            collator=collator,
            visits=self.visits,
            held_out=self.held_out,
            held_out_collator=self._batches(True),
            mean=mean,
            callbacks=callbacks,
            own_rates=recipe.own_rates,
            seconds_before=seconds_before,
        )

    def _batches(self, needs_logits: bool) -> Batches:
        base = self.backbone.model
        return Batches(
            self.backbone,
            {"use_cache": False} if takes_argument(base, "use_cache") else {},
            keeps_some_logits(base),
            answer_tokens=self.request.recipe.answer_tokens,
            needs_logits=needs_logits,
        )

    def _write(self, identity: Mapping[str, Any], outcome: Outcome) -> None:
        """Write the adapter, then the record, then drop the checkpoints."""
        record = self._record(identity, outcome)
        write_finished(self.folder, self.model, self.backbone, record)
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
                "stored_parameters": count_stored(self.model),
                "base_parameters": sum(parameter.numel() for parameter in self.backbone.model.parameters()),
                "steps": max((entry["step"] for entry in history), default=0),
                "losses": [entry["loss"] for entry in history if "loss" in entry],
                "held_out": held_out,
                "best_step": best_step(history),
                "held_out_loss": min((entry["loss"] for entry in held_out), default=None),
                "tokens": {"min": min(lengths), "mean": sum(lengths) / len(lengths), "max": max(lengths)},
                "logits": "answer positions" if keeps_some_logits(self.backbone.model) else "all positions",
                **({} if outcome.prepared is None else {"prepared": outcome.prepared}),
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
