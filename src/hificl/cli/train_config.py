"""The recipe file that repeats a training."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hificl.cli.report import Report

if TYPE_CHECKING:
    from hificl.backbones import Backbone
    from hificl.cli.train import TrainOptions
    from hificl.training.request import Request


def show_config(report: Report, chosen: TrainOptions, request: Request, backbone: Backbone) -> None:
    """Write the recipe file to stdout, as YAML or as JSON."""
    text = recipe_file(chosen, request, backbone)
    if report.as_json:
        import yaml

        report.result(yaml.safe_load(text), lambda screen: None)
        return
    print(text, end="", file=report.stdout)


def recipe_file(chosen: TrainOptions, request: Request, backbone: Backbone) -> str:
    """The recipe file that repeats a run: options, all training numbers, and what the adapter's config sets.

    Args:
        chosen: Options of the command.
        request: What they came to with the model and the examples.
        backbone: The model.
    """
    import yaml

    from hificl.training.request import resolve

    values = {**asdict(chosen), "output": str(chosen.folder), **request.recipe_values}
    unasked = resolve(backbone, chosen.method, chosen.recipe, {}).config
    values.update(_adapter_values(request.config, unasked))
    if not chosen.columns:
        values.pop("columns")
    values.pop("resume")
    return yaml.safe_dump({name: value for name, value in values.items() if value is not None}, sort_keys=False)


def _adapter_values(config: Any, unasked: Any) -> dict[str, Any]:
    """The fields of a PEFT config that neither its defaults nor the recipe would set, and those that size the adapter.

    A field that only one of the two would set is written: read again, the recipe sets its own.
    """
    from hificl.training.identity import config_values

    internal = {"peft_type", "task_type", "inference_mode"}
    sizes = {"num_virtual_tokens", "r"}
    plain, recipe, own = map(config_values, (type(config)(), unasked, config))
    changed = {name for name in own if own[name] != plain.get(name) or own[name] != recipe.get(name, plain.get(name))}
    return {name: own[name] for name in own if name not in internal and name in changed | sizes}
