"""What a training would do, on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hificl.cli.report import facts, size

if TYPE_CHECKING:
    from rich.console import Console

    from hificl.training import Plan, Recipe


def _targets(names: tuple[str, ...]) -> str:
    return f"{len(names)} modules: {names[0]} ... {names[-1]}" if names else "no module; the cache of every layer"


def _means(recipe: Recipe) -> str:
    """What saves time or memory, where it was asked for."""
    means = {
        "batches of similar length": recipe.group_by_length,
        "layers computed again in the backward pass": recipe.gradient_checkpointing,
        "compiled layers": recipe.compile,
    }
    return ", ".join(name for name, wanted in means.items() if wanted)


def show_plan(screen: Console, plan: Plan, model: str, folder: str) -> None:
    """Print what a training would do."""
    held = f", {plan.held_out} held out" if plan.held_out else ""
    tokens, recipe = plan.tokens, plan.recipe
    rows: dict[str, object] = {
        "method": f"{plan.method} on {model} ({plan.base_parameters:,} frozen parameters)",
        "targets": _targets(plan.targets),
        "trainable parameters": f"{plan.trainable_parameters:,}",
        "stored values": f"{plan.stored_parameters:,}",
        "examples": f"{plan.examples}{held}",
        "tokens per sample": f"{tokens['min']} to {tokens['max']}, mean {tokens['mean']:.1f}",
    }
    if not plan.is_fitted:
        rows["steps"] = f"{plan.steps} of {recipe.batch_size} examples, learning rate {recipe.learning_rate:g}"
    if plan.start is not None:
        rows["starts from"] = plan.start
    if means := _means(recipe):
        rows["computed with"] = means
    if recipe.teacher:
        rows["teacher"] = f"{recipe.teacher}, {recipe.teacher_shots} demonstrations at every visit"
    facts(screen, {**rows, "memory": f"about {size(plan.memory_bytes)}", "would write": folder})
