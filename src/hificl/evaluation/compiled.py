"""Generation with a cache of fixed length and a compiled decode step.

transformers compiles the step of a generation with a static cache by itself, on accelerators alone, and leaves the
compiled call on the model. Here it also does so on a CPU, and nothing stays where a copy of the model would find it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from peft import PeftModel
from transformers import CompileConfig, GenerationConfig

from hificl.errors import InputError

BACKEND = "inductor"
"""What torch.compile makes of a graph."""

CACHE_STEP = 64
"""Lengths of caches are multiples of this, so that prompts a little longer do not make another graph."""

MOST_GRAPHS = 64
"""Graphs kept for one model: one for each batch size, length of cache and set of active adapters."""

LEFT_BEHIND = ("_compiled_call", "_last_compile_config", "_previous_max_cache_length")
"""What transformers puts on a model that it has compiled. A deep copy would go on to call the original."""

OURS = "_hificl_compiled_step"


@dataclass
class StepCompilation(CompileConfig):
    """How a decode step is compiled: as one graph, or not at all, on every kind of device."""

    fullgraph: bool = True
    isolate_recompiles: bool = True
    recompile_limit: int | None = MOST_GRAPHS
    _compile_all_devices = True  # type: ignore[assignment]


class CompiledStep:
    """The compiled step of one model. A copy of the model starts with none of its own."""

    def __init__(self) -> None:
        self.call: Any = None

    def __deepcopy__(self, memo: dict[int, Any]) -> CompiledStep:
        return CompiledStep()

    def __reduce__(self) -> tuple[type[CompiledStep], tuple[()]]:
        return CompiledStep, ()


class CompiledDecoding:
    """Lets generations use a static cache and a compiled step: one graph for all batches of an evaluation.

    Args:
        model: A transformers model, or a PEFT model on one.
        longest: Tokens of the longest prompt, all rows of the evaluation considered.
        new_tokens: Most tokens of one answer.
        num_beams: Beams of the search.

    Raises:
        InputError: The adapter cannot generate with a static cache, or there are beams.
    """

    def __init__(self, model: Any, *, longest: int, new_tokens: int, num_beams: int = 1) -> None:
        self.base = model.get_base_model() if isinstance(model, PeftModel) else model
        refuse(model, num_beams)
        self.cache_length = CACHE_STEP * math.ceil((longest + new_tokens) / CACHE_STEP)
        on_gpu = self.base.device.type == "cuda"
        self.compilation = StepCompilation(backend=BACKEND, mode="reduce-overhead" if on_gpu else "default")

    def configure(self, config: GenerationConfig) -> GenerationConfig:
        """Make a generation use the static cache and the compiled step."""
        config.cache_implementation, config.max_cache_len = "static", self.cache_length
        config.compile_config = self.compilation
        return config

    @contextmanager
    def step(self) -> Iterator[None]:
        """Inside, generations of the model find the step that earlier ones compiled; afterwards it is put away.

        Raises:
            InputError: transformers has not compiled the step, for reasons of its own.
        """
        placed = self.base.__dict__
        own: CompiledStep = placed.setdefault(OURS, CompiledStep())
        others = {name: placed.pop(name) for name in LEFT_BEHIND if name in placed}
        if own.call is not None:
            placed["_compiled_call"], placed["_last_compile_config"] = own.call, self.compilation
        try:
            yield
            own.call = placed.get("_compiled_call")
        finally:
            for name in LEFT_BEHIND:
                placed.pop(name, None)
            placed.update(others)
        if own.call is None:
            raise InputError(
                f"{type(self.base).__name__}: transformers compiles no decode step of this model (it is quantised, or "
                "partly offloaded); leave compile out."
            )


def refuse(model: Any, num_beams: int) -> None:
    """Refuse adapters that a static cache does not serve, and beams.

    Raises:
        InputError: With the reason.
    """
    if num_beams > 1:
        raise InputError(f"num_beams is {num_beams}: transformers compiles greedy decoding alone; leave compile out.")
    configs = [model.peft_config[name] for name in model.active_adapters] if isinstance(model, PeftModel) else []
    for config in configs:
        if config.is_prompt_learning:
            raise InputError(
                f"{type(config).__name__}: PEFT hands its prefix over as a cache of its own, which cannot be a static "
                "one; leave compile out, or use hificl's own prefix tuning."
            )
        if getattr(config, "compat", "exact") == "official":
            raise InputError(
                f"{type(config).__name__}: compat='official' counts keys that are masked, and a static cache also "
                "holds places that are not yet written; leave compile out."
            )
