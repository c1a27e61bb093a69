"""Patching by hand on a Qwen2 or Llama decoder with plain hooks: what the methods are compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from hificl.backbones import Backbone, Encoded, collate
from hificl.methods.activations import without_answer

Change = Callable[[Tensor], Tensor | None]


def decoder_layers(model: Any) -> Any:
    """The list of the layers of the text decoder."""
    return model.get_decoder().layers


@contextmanager
def after(module: nn.Module, change: Change) -> Iterator[None]:
    """Change what a module returns."""

    def hook(module: nn.Module, args: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            changed = change(output[0])
            return None if changed is None else (changed, *output[1:])
        return change(output)

    handle = module.register_forward_hook(hook)
    yield
    handle.remove()


@contextmanager
def before(module: nn.Module, change: Change) -> Iterator[None]:
    """Change what a module is given."""

    def hook(module: nn.Module, args: Any) -> Any:
        changed = change(args[0])
        return None if changed is None else (changed, *args[1:])

    handle = module.register_forward_pre_hook(hook)
    yield
    handle.remove()


def batch_of(backbone: Backbone, prompts: list[Encoded]) -> dict[str, Any]:
    return dict(collate(backbone, [without_answer(one) for one in prompts]))


def logits_of(backbone: Backbone, model: Any, prompts: list[Encoded]) -> Tensor:
    """Logits at the last token, [prompts vocabulary]."""
    with torch.no_grad():
        found: Tensor = model(**batch_of(backbone, prompts), use_cache=False).logits[:, -1]
    return found


def steps_of(backbone: Backbone, model: Any, prompts: list[Encoded], number: int = 5) -> tuple[Tensor, Tensor]:
    """Generate greedily with the cache: tokens [prompts steps] and their logits [prompts steps vocabulary]."""
    batch = batch_of(backbone, prompts)
    with torch.no_grad():
        made = model.generate(
            **batch, do_sample=False, max_new_tokens=number, min_new_tokens=number, output_logits=True,
            return_dict_in_generate=True, pad_token_id=backbone.pad_id,
        )  # fmt: skip
    return made.sequences[:, batch["input_ids"].shape[1] :], torch.stack(made.logits, dim=1)
