"""HiFICL: learned key-value pairs in the softmax of every decoder attention layer (arXiv:2603.12760)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hificl.errors import InputError
from hificl.tuner import HiFICLConfig

if TYPE_CHECKING:
    from peft import PeftModel

    from hificl.backbones import Backbone
    from hificl.data import Example
    from hificl.methods.fitting import Fitting


def peft_config(backbone: Backbone, options: Mapping[str, Any]) -> HiFICLConfig:
    """Return the config of the paper, eight pairs of rank eight per query head, with ``options`` on top.

    The paper's variants are options: ``factorize_key=False`` and ``factorize_value=False``, ``mixing="additive"``
    (its "alpha = 1"), ``share="kv"``, ``learn_score_offset=True``, ``compat="official"``; its teacher is a field of the
    recipe, ``teacher="mse"``.
    """
    return HiFICLConfig(**options)


def prompted(backbone: Backbone, config: HiFICLConfig) -> Backbone:
    """Return the backbone as such an adapter is asked: pairs of demonstrations hold the opening of the prompt too."""
    from hificl.backbones import with_opening

    return with_opening(backbone, "in_adapter") if config.init == "demonstrations" else backbone


def prepare(fitting: Fitting, model: PeftModel) -> dict[str, Any] | None:
    """Start an adapter from demonstrations, where its config says so; None where it starts at random.

    Args:
        fitting: Demonstrations and the queries that the pairs are fitted to are drawn from its examples, apart from
            each other as far as there are enough.
        model: The backbone with the adapter on it.

    Returns:
        Report of :func:`hificl.initialise_from_demonstrations` and the ids of the ``demonstrations``.
    """
    from hificl.context import capture_demonstrations, initialise_from_demonstrations

    config: Any = model.peft_config["default"]
    if config.init != "demonstrations":
        return None
    shown, others = _drawn(fitting, config)
    captured = capture_demonstrations(fitting.backbone, shown, shots=config.init_shots)
    started = initialise_from_demonstrations(model, captured, backbone=fitting.backbone, queries=others)
    return {"demonstrations": [one.id for one in shown], **started.report}


def check(fitting: Fitting, config: HiFICLConfig) -> None:
    """Refuse a start from demonstrations that cannot be, before anything is written.

    Some models say what they are only when they run: the longest text is captured and, unless every token is kept, one
    pair is made of it.

    Raises:
        InputError: Too few examples, fewer tokens than pairs, or as for :func:`hificl.initialise_from_demonstrations`.
    """
    from hificl.context.start import check_pairs, encode_demonstrations, rehearse

    if config.init == "demonstrations":
        shown, others = _drawn(fitting, config)
        encoded = encode_demonstrations(fitting.backbone, shown, config.init_shots)
        tokens = sum(one.length for one in encoded)
        check_pairs(config.num_virtual_tokens, tokens)
        compressed = config.num_virtual_tokens < tokens
        rehearse(fitting.backbone, max(encoded, key=lambda one: one.length), others[0] if compressed else None)


def _drawn(fitting: Fitting, config: HiFICLConfig) -> tuple[list[Example], list[Example]]:
    """Draw the demonstrations of a start, and examples to sample queries from: others, if there are any."""
    number = config.init_shots * config.init_captures
    if number > len(fitting.examples):
        raise InputError(
            f"init='demonstrations' takes {config.init_captures} x {config.init_shots} demonstrations, and there are "
            f"{len(fitting.examples)} examples to train on; lower init_shots or init_captures."
        )
    drawn = fitting.draw(len(fitting.examples), "start")
    return drawn[:number], drawn[number:] or drawn
