"""The HF Trainer with hificl's loss, its frozen base, marked checkpoints and errors that name the step."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from accelerate import PartialState
from peft import PeftModel
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.utils.data import Sampler, SequentialSampler
from transformers import PrinterCallback, Trainer, TrainingArguments

from hificl.errors import HificlError, RunError
from hificl.training import checkpoints
from hificl.training.aside import AsideBatches, take_aside, with_aside
from hificl.training.averaging import MeanOfLastSteps
from hificl.training.holdout import LOSS, best_step
from hificl.training.lessons import LessonBatches, Lessons
from hificl.training.loss import IGNORED, answer_loss
from hificl.training.objective import Objective
from hificl.training.progress import Progress
from hificl.training.samples import Batches, EncodedExamples, Visits


class AnswerTrainer(Trainer):
    """Trains the adapter of ``model`` on answer and end tokens, and on what else its objective asks for.

    Args:
        model: The adapted model.
        args: As ``training_arguments`` makes them.
        objective: The loss.
        collator: Makes the batches of the objective from ``visits``.
        visits: What is seen, in order.
        held_out: The examples that choose the epoch, if any.
        held_out_collator: Makes batches with answers from them.
        mean: Averages the last steps, and has a file in every checkpoint.
        callbacks: Further callbacks of the Trainer.
        own_rates: Learning rates of parameters, by what is in their names; the others have that of ``args``.
        seconds_before: Time of earlier sessions of a resumed run.
    """

    def __init__(
        self,
        model: PeftModel,
        args: TrainingArguments,
        *,
        objective: Objective,
        collator: Batches | LessonBatches,
        visits: Visits | Lessons,
        held_out: EncodedExamples | None = None,
        held_out_collator: Batches | None = None,
        mean: MeanOfLastSteps | None = None,
        callbacks: list[Any] | None = None,
        own_rates: Mapping[str, float] = MappingProxyType({}),
        seconds_before: float = 0.0,
    ) -> None:
        super().__init__(
            model=model,
            args=args,
            data_collator=AsideBatches(collator),
            train_dataset=visits,
            compute_loss_func=objective,
            callbacks=[Progress(), *([] if mean is None else [mean]), *(callbacks or [])],
        )
        self.adapted = model
        self.training_objective = objective
        self.visits = visits
        self.mean = mean
        # The count of answer tokens goes to the loss function, not into the model's forward.
        self.model_accepts_loss_kwargs = False
        # It prints every log to stdout, which belongs to results.
        self.remove_callback(PrinterCallback)
        self.held_out = held_out
        self.held_out_collator = held_out_collator
        self.own_rates = own_rates
        self.seconds_before = seconds_before
        self.until_gradients = ExitStack()
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of training so far, over all sessions of the run."""
        return self.seconds_before + time.monotonic() - self.started

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        """Take the gradient of a micro batch; its forward is watched to the end, for layers may run again."""
        with ExitStack() as self.until_gradients:
            return super().training_step(*args, **kwargs)

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Return the loss of a micro batch; the teacher, if any, has run before the student does."""
        self.until_gradients.enter_context(self.training_objective.following(inputs, self.accelerator.autocast))
        return super().compute_loss(model, inputs, *args, **kwargs)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Return AdamW, in which parameters with a learning rate of their own have groups of their own."""
        made = self.optimizer is not None
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        if not made:
            for part, rate in self.own_rates.items():
                _set_rate(optimizer, parameters_named(self.adapted, part), rate)
        return optimizer

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        """Log before anything is saved or measured: what is not a number is noticed, and no interval is cut."""
        wanted = self.control.should_save or self.control.should_evaluate
        self.control.should_log = self.control.should_log or wanted
        super()._maybe_log_save_evaluate(*args, **kwargs)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Refuse a loss or gradient that is not a number before anything of its steps is saved.

        Raises:
            RunError: with the steps since the last log and the learning rate.
        """
        for name in ("loss", "grad_norm"):
            value = logs.get(name, 0.0)
            if not math.isfinite(value):
                raise RunError(self._not_a_number("loss" if name == "loss" else "gradient norm", value, logs))
        super().log(logs, start_time)

    def _not_a_number(self, what: str, value: float, logs: Mapping[str, float]) -> str:
        last = self.state.global_step
        first = last if what == "gradient norm" else self._last_logged() + 1
        place, saved = (f"step {last}", "this step") if first == last else (f"steps {first} to {last}", "these steps")
        # Before the first step is taken the learning rate has had no part in it.
        remedy = "check the weights of the base" if first == 1 else "lower learning_rate"
        if first == 1 and last > 1:
            remedy += ", lower learning_rate"
        return (
            f"{place}: the {what} is {value} at learning rate {logs['learning_rate']:.3g}; {remedy}, or load the "
            f"backbone with dtype float32. Nothing of {saved} was saved."
        )

    def _last_logged(self) -> int:
        """Return the last step that a loss was logged for, in this session or an earlier one."""
        return max((int(entry["step"]) for entry in self.state.log_history if "loss" in entry), default=0)

    @torch.no_grad()
    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Return the mean answer loss over the held-out examples, the same on every process."""
        assert self.held_out is not None
        assert self.held_out_collator is not None
        model = self.adapted.eval()
        # Read at the end only: a GPU is to be waited for once.
        losses: list[Tensor] = []
        items = 0
        size = self.args.per_device_train_batch_size
        for start in range(0, len(self.held_out), size):
            encoded = [self.held_out[index] for index in range(start, min(start + size, len(self.held_out)))]
            batch: dict[str, Any] = self.held_out_collator(encoded)
            items += int(batch["labels"].ne(IGNORED).sum())
            inputs = self._prepare_inputs(with_aside(batch))
            labels, places = inputs.pop("labels"), take_aside(inputs)
            losses.append(answer_loss(model(**inputs), labels, 1, places))
        total = 0.0
        for loss in losses:
            total += float(loss)
        metrics = {LOSS: total / items}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Return 0: the Trainer's estimate counts all parameters at every step and nothing reads it."""
        return 0

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        """Visit in the order of the data set, which is already the seeded one."""
        return SequentialSampler(self.visits)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Save the adapter alone; without the look at the hub for the base's vocabulary."""
        if self.args.should_save:
            self.adapted.save_pretrained(str(output_dir), save_embedding_layers=False)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Write a checkpoint, mark it as complete, and only then remove older ones.

        Raises:
            RunError: It could not be written; the partial folder is removed and older checkpoints are intact.
        """
        root = Path(str(self.args.output_dir))
        folder = root / f"{checkpoints.PREFIX}{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)
            # Every process has its own random state in the folder.
            PartialState().wait_for_everyone()
            if self.args.should_save:
                if self.mean is not None:
                    self.mean.save(folder)
                checkpoints.seal(folder, self.seconds)
                best = best_step(self.state.log_history)
                checkpoints.prune(root, keep=set() if best is None else {best})
            PartialState().wait_for_everyone()
        except HificlError:
            raise
        except (OSError, RuntimeError, SafetensorError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise RunError(
                f"{folder}: the checkpoint of step {self.state.global_step} could not be written ({error}); "
                "free disk space or choose another output_dir, then run the same command to go on. "
                "Earlier checkpoints are intact."
            ) from error


def parameters_named(model: nn.Module, part: str) -> list[nn.Parameter]:
    """Return the trained parameters whose name contains ``part``."""
    return [one for name, one in model.named_parameters() if one.requires_grad and part in name]


def _set_rate(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], rate: float) -> None:
    """Move parameters into groups like those that they are in, with another learning rate."""
    chosen = {id(parameter) for parameter in parameters}
    for group in list(optimizer.param_groups):
        own = [parameter for parameter in group["params"] if id(parameter) in chosen]
        if own:
            group["params"] = [parameter for parameter in group["params"] if id(parameter) not in chosen]
            optimizer.add_param_group({**group, "params": own, "lr": rate})
