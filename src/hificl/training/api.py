"""``train``: fit an adapter to a few hundred examples, resumably, and leave a folder that ``load`` takes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from peft import PeftConfig
from transformers import set_seed

from hificl.adapters.stored import new_adapter
from hificl.backbones import Backbone
from hificl.data import Example
from hificl.errors import InputError
from hificl.run import Run, load
from hificl.training.holdout import split_holdout
from hificl.training.identity import run_identity
from hificl.training.request import resolve
from hificl.training.run_folder import RunFolder
from hificl.training.samples import EncodedExamples, check_examples
from hificl.training.session import Session, count_trainable
from hificl.training.trainer import training_arguments


def train(
    backbone: Backbone,
    examples: Sequence[Example],
    *,
    method: str | PeftConfig = "hificl",
    recipe: str = "default",
    output_dir: str | os.PathLike[str],
    seed: int = 0,
    resume: bool = True,
    task: str | None = None,
    source: Mapping[str, Any] | None = None,
    **overrides: Any,
) -> Run:
    """Train an adapter on a frozen backbone: cross-entropy on the answers, nothing else.

    Args:
        backbone: The frozen base. It is not changed: the adapter gets a module tree of its own over the same weights.
        examples: Training examples with unique ids; the first answer of each is the target.
        method: A learned entry of ``METHODS``, or any PEFT config.
        recipe: ``"default"``, ``"paper"`` or ``"robust"``, see ``RECIPES``.
        output_dir: Folder of the run; made if missing. It gets ``run.json``, ``checkpoints/``, ``adapter/`` and, last,
            ``record.json``.
        seed: Seed of the initial adapter, its dropout and (unless the recipe sets another) the order of the examples.
        resume: Take up an unfinished run in ``output_dir``; the result has the same bits as without the interruption.
            A finished one is returned as it is. False starts over.
        task: Name of the task, for the record and the model card.
        source: What the record is to say about the examples, as JSON values: task, protocol, skipped rows.
        **overrides: Fields of the recipe or of the PEFT config, by name.

    Returns:
        The trained run, its model in evaluation mode. The global random state is that of the run afterwards.

    Raises:
        InputError: A wrong option, example or backbone, or an ``output_dir`` that holds another run.
        RunError: The loss is not a number (step and learning rate given), or a file could not be written.
    """
    check_examples(examples)
    request = resolve(backbone, method, recipe, overrides)
    training, held = split_holdout(len(examples), request.recipe.holdout, seed)
    steps = request.recipe.total_steps(len(training))
    folder = RunFolder(Path(output_dir))
    arguments = training_arguments(request.recipe, steps, seed, folder.checkpoints, backbone.device)
    identity = run_identity(
        backbone, examples, request, seed=seed, processes=arguments.world_size, task=task, source=source
    )
    if resume:
        folder.compare(identity)
    if not (resume and folder.record.is_file()):
        # The adapter and the encoding find what is wrong with the options and the examples: before anything is written.
        set_seed(seed)
        model = new_adapter(backbone, request.config)
        if count_trainable(model) == 0:
            raise InputError(f"train: this {request.method} has no parameters to train; change its options.")
        session = Session(
            model=model,
            backbone=backbone,
            request=request,
            encoded=EncodedExamples(backbone, [examples[index] for index in training]),
            held_out=EncodedExamples(backbone, [examples[index] for index in held]) if held else None,
            arguments=arguments,
            folder=folder,
        )
        session.run(identity, resume)
    return load(folder.path, backbone=backbone)
