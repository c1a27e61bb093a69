"""The one command: `python -m pretrain --output FOLDER [--size tiny|small] [--seed 0] [--resume]`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

from hificl.errors import HificlError
from pretrain.export import save_model_folder
from pretrain.loop import TrainingError
from pretrain.recipe import RECIPES
from pretrain.record import run_record
from pretrain.run import run_recipe


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _usable_device(text: str) -> str:
    try:
        torch.empty(1, device=text)
    except (RuntimeError, AssertionError) as error:  # torch asserts where it was built without CUDA
        raise argparse.ArgumentTypeError(f"{text!r} cannot be used here; use 'cpu'") from error
    return text


def main(arguments: list[str] | None = None) -> int:
    """Pretrain a model folder; return the exit code (2 when a package, a folder or the training fails)."""
    parser = argparse.ArgumentParser(prog="python -m pretrain", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder for the run and its model/ folder")
    parser.add_argument("--size", choices=sorted(RECIPES), default="small", help="recipe (default: small)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything (default: 0)")
    parser.add_argument("--resume", action="store_true", help="continue the run in --output")
    parser.add_argument(
        "--cache", type=Path, default=Path(".cache/pretrain"), help="folder for packages and image pools"
    )
    parser.add_argument("--threads", type=_positive, default=1, help="CPU threads (default: 1, as the shipped model)")
    parser.add_argument(
        "--device", type=_usable_device, default="cpu", help="cpu (default, as the shipped model) or cuda; bf16 on both"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        done = run_recipe(
            RECIPES[options.size],
            options.output,
            seed=options.seed,
            cache=options.cache,
            resume=options.resume,
            device=options.device,
        )
    except (HificlError, TrainingError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    recipe, stages = RECIPES[options.size], options.output / "stages"
    record = run_record(recipe, options.size, options.seed, options.threads, stages)
    (options.output / "record.json").write_text(json.dumps(record, indent=1) + "\n")
    save_model_folder(done.model, done.tokenizer, options.output / "model")
    print(f"model folder: {options.output / 'model'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
