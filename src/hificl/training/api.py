"""``train``: train or fit an adapter on a few hundred examples, resumably, and leave a folder for ``load``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from peft import PeftConfig
from transformers import TrainingArguments, set_seed

from hificl.adapters.stored import new_adapter
from hificl.backbones import Backbone
from hificl.data import Example
from hificl.errors import InputError
from hificl.methods.fitting import Fitting
from hificl.run import Run, load
from hificl.training.arguments import training_arguments
from hificl.training.finished import count_trainable
from hificl.training.fit import fit
from hificl.training.holdout import split_holdout
from hificl.training.identity import run_identity
from hificl.training.lessons import visits_of
from hificl.training.recipes import OWN_RATES
from hificl.training.request import Request, check_method, implementation, prompted, resolve_for
from hificl.training.run_folder import RunFolder
from hificl.training.samples import EncodedExamples, check_examples
from hificl.training.session import Session
from hificl.training.trainer import parameters_named


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
    """Train or fit an adapter on a frozen backbone.

    A trained method learns the answers by cross-entropy; with ``teacher="mse"``, ``"cosine"`` or ``"kl"`` it learns
    besides to compute what the frozen model computes where it sees demonstrations. The values of a fitted method are
    computed from activations, and a share ``holdout`` of the examples chooses its layer or heads.

    Args:
        backbone: The frozen base. It is not changed: the adapter gets a module tree of its own over the same weights.
        examples: Training examples with unique ids; the first answer of each is the target.
        method: An entry of ``METHODS`` that is trained or fitted, or any PEFT config.
        recipe: ``"default"`` (the same as ``"robust"``), ``"plain"`` or ``"paper"``, see ``RECIPES``.
        output_dir: Folder of the run; made if missing. It gets ``run.json``, ``checkpoints/``, ``adapter/`` and, last,
            ``record.json``.
        seed: Seed of the initial adapter, its dropout and (unless the recipe sets another) the order of the examples.
        resume: Take up an unfinished run in ``output_dir``; the result has the same bits as without the interruption.
            A finished one is returned as it is. False starts over. (On some Intel processors sums depend on where in
            memory a tensor lies; there the same bits need ``MKL_CBWR=AUTO,STRICT`` in the environment before torch is
            imported, as the command line does it.)
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
    request = resolve_for(backbone, examples, method, recipe, overrides, seed)
    backbone = prompted(backbone, request)
    training, held = split_holdout(len(examples), request.recipe.holdout, seed)
    folder = RunFolder(Path(output_dir))
    steps = 0 if request.is_fitted else request.recipe.total_steps(len(training))
    arguments = training_arguments(request.recipe, steps, seed, folder.checkpoints, backbone.device)
    identity = run_identity(
        backbone, examples, request, seed=seed, processes=arguments.world_size, task=task, source=source
    )
    if resume:
        folder.compare(identity)
    if not (resume and folder.record.is_file()):
        fitting = Fitting(
            backbone,
            [examples[index] for index in training],
            [examples[index] for index in held],
            request.recipe.metric,
            seed,
        )
        if request.is_fitted:
            set_seed(seed)
            fit(request, fitting, folder, identity, resume)
        else:
            _session(fitting, request, arguments, folder).run(identity, resume)
    return load(folder.path, backbone=backbone)


def _session(fitting: Fitting, request: Request, arguments: TrainingArguments, folder: RunFolder) -> Session:
    """Find what is wrong with the options and the examples, before anything is written.

    Raises:
        InputError: Something is.
    """
    recipe, backbone = request.recipe, fitting.backbone
    check_method(request, fitting)
    set_seed(fitting.seed)
    model = new_adapter(backbone, request.config)
    if count_trainable(model) == 0:
        raise InputError(f"train: this {request.method} has no parameters to train; change its options.")
    for field, (part, called) in OWN_RATES.items():
        if getattr(recipe, field) is not None and not parameters_named(model, part):
            raise InputError(f"train: {request.method} has no {called}; leave {field} out.")
    prepare = getattr(implementation(request.method), "prepare", None)
    return Session(
        model=model,
        backbone=backbone,
        request=request,
        visits=visits_of(EncodedExamples(backbone, fitting.examples), recipe, arguments.max_steps, fitting.seed),
        held_out=EncodedExamples(backbone, fitting.held_out) if fitting.held_out else None,
        arguments=arguments,
        folder=folder,
        prepare=None if prepare is None else partial(prepare, fitting),
    )
