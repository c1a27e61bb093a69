"""The recipe file that repeats a training."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hificl.cli.report import Report

if TYPE_CHECKING:
    from hificl.backbones import Backbone
    from hificl.cli.train import TrainOptions


def show_config(report: Report, chosen: TrainOptions, overrides: dict[str, Any], backbone: Backbone) -> None:
    """Write the recipe file to stdout, as YAML or as JSON."""
    text = recipe_file(chosen, overrides, backbone)
    if report.as_json:
        import yaml

        report.result(yaml.safe_load(text), lambda screen: None)
        return
    print(text, end="", file=report.stdout)


def recipe_file(chosen: TrainOptions, overrides: dict[str, Any], backbone: Backbone) -> str:
    """The recipe file that repeats a run: options, all training numbers, and what the adapter's config sets."""
    import yaml

    from hificl.training.request import resolve

    request = resolve(backbone, chosen.method, chosen.recipe, overrides)
    values = {**asdict(chosen), "output": str(chosen.folder), **request.recipe_values}
    values.update(_adapter_values(request.config))
    if not chosen.columns:
        values.pop("columns")
    values.pop("resume")
    return yaml.safe_dump({name: value for name, value in values.items() if value is not None}, sort_keys=False)


def _adapter_values(config: Any) -> dict[str, Any]:
    """The fields of a PEFT config that differ from its defaults, and those that size the adapter."""
    from hificl.training.identity import peft_values

    plain = peft_values(type(config)())
    internal = {"peft_type", "task_type", "inference_mode"}
    sizes = {"num_virtual_tokens", "r"}
    values = peft_values(config)
    return {
        name: value
        for name, value in values.items()
        if name not in internal and (value != plain.get(name) or name in sizes)
    }
