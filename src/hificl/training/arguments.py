"""The arguments of the HF Trainer for a recipe and a device."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from hificl.errors import InputError
from hificl.training.recipes import Recipe

STEPS_BETWEEN_LOGS = 10
"""Most steps on a GPU from one reading of the loss to the next; before a checkpoint it is always read."""


def training_arguments(recipe: Recipe, steps: int, seed: int, folder: Path, device: torch.device) -> TrainingArguments:
    """Return the Trainer's arguments for a recipe.

    On a GPU the optimiser is one kernel, batches are copied while it computes, and losses are means over the
    ``STEPS_BETWEEN_LOGS`` steps since the last reading.

    Args:
        recipe: How to train.
        steps: Optimiser steps of the run.
        seed: Seed of the run.
        folder: Where checkpoints go.
        device: Where the model lies.

    Raises:
        InputError: ``batch_size`` cannot be divided over the processes.
    """
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=recipe.micro_batch_size,
        max_steps=steps,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.clip_norm,
        warmup_steps=math.ceil(recipe.warmup * steps),
        lr_scheduler_type="constant_with_warmup" if recipe.average else "cosine",
        seed=seed,
        data_seed=seed,
        save_strategy="steps",
        save_steps=recipe.checkpoint_steps,
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        label_names=["labels"],
        **_by_device(device),
    )
    processes = arguments.world_size
    if recipe.batch_size % (recipe.micro_batch_size * processes):
        raise InputError(
            f"recipe: batch_size {recipe.batch_size} is not a multiple of micro_batch_size {recipe.micro_batch_size} "
            f"times {processes} processes; change one of them."
        )
    arguments.gradient_accumulation_steps = recipe.batch_size // (recipe.micro_batch_size * processes)
    # One process, one device: several visible GPUs would otherwise be used through DataParallel.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _by_device(device: torch.device) -> dict[str, Any]:
    cuda = device.type == "cuda"
    return {
        "use_cpu": device.type == "cpu",
        "bf16": cuda and torch.cuda.is_bf16_supported(),
        "optim": "adamw_torch_fused" if cuda else "adamw_torch",
        "dataloader_pin_memory": cuda,
        "accelerator_config": {"non_blocking": cuda},
        # To log is to read the loss, for which a GPU is waited for. A CPU computes nothing ahead.
        "logging_steps": STEPS_BETWEEN_LOGS if cuda else 1,
    }
