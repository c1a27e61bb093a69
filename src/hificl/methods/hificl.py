"""HiFICL: learned key-value pairs in the softmax of every decoder attention layer (arXiv:2603.12760)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hificl.tuner import HiFICLConfig

if TYPE_CHECKING:
    from peft import PeftModel

    from hificl.backbones import Backbone
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
    from hificl.backbones import with_opening
    from hificl.context import capture_demonstrations, initialise_from_demonstrations
    from hificl.context.start import MOST_QUERIES

    config: Any = model.peft_config["default"]
    if config.init != "demonstrations":
        return None
    number = config.init_shots * config.init_captures
    drawn = fitting.draw(max(len(fitting.examples), number), "start")
    shown, others = drawn[:number], drawn[number:] or drawn
    backbone = with_opening(fitting.backbone, "written")
    captured = capture_demonstrations(backbone, shown, shots=config.init_shots)
    started = initialise_from_demonstrations(model, captured, backbone=backbone, queries=others[:MOST_QUERIES])
    return {"demonstrations": [one.id for one in shown], **started.report}
