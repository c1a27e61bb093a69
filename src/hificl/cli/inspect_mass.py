"""The second half of ``hificl inspect``: where attention goes on some rows, and what the virtual pairs say there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hificl.cli.report import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from hificl.cli.task_data import DataOptions

SHOWN_PAIRS, SHOWN_TOKENS = 12, 3
"""Pairs in the table, those with the most mass, and tokens for each; the JSON has more."""


def measure_mass(adapter: str, chosen: DataOptions, queries: int) -> dict[str, Any]:
    """Load an adapter with its base and let it read the first rows; see :func:`hificl.diagnostics.real_mass`.

    Raises:
        InputError: The adapter has no virtual pairs, or it or the rows cannot be read.
    """
    from hificl.cli.inputs import open_adapter
    from hificl.cli.task_data import read_rows
    from hificl.diagnostics import real_mass

    rows, run = read_rows(chosen), open_adapter(adapter)
    return real_mass(run.backbone, run.model, rows.queries[:queries])


def show_mass(screen: Console, found: dict[str, Any]) -> None:
    """Print alpha by layer and type of token, and the pairs with the most mass."""
    screen.print(f"\nreal mass alpha, mean over {found['heads']} heads and {found['queries']} queries")
    screen.print(_by_layer(found["alpha"], found["layers"]))
    screen.print(
        f"\nthe pairs with the most mass of {found['pairs_in_all']}: tokens that attend to them (mean mass), and what "
        "their values say straight to the unembedding",
        soft_wrap=True,
    )
    screen.print(_pairs(found["pairs"][:SHOWN_PAIRS]))


def _by_layer(alpha: dict[str, Any], layers: int) -> Table:
    table = _table("layer", *alpha)
    for layer in range(layers):
        means = [told["mean"][layer] for told in alpha.values()]
        table.add_row(str(layer), *(f"{sum(heads) / len(heads):.3f}" for heads in means))
    return table


def _pairs(pairs: list[dict[str, Any]]) -> Table:
    table = _table("layer", "head", "pair", "mass")
    table.add_column("attended from")
    table.add_column("says")
    for one in pairs:
        seen = ", ".join(f"{_word(token)} {weight:.2f}" for token, weight in one["from"][:SHOWN_TOKENS])
        said = ", ".join(_word(token) for token, _ in (one["says"] or [])[:SHOWN_TOKENS])
        places = (str(one[name]) for name in ("layer", "head", "pair"))
        table.add_row(*places, f"{one['mass']:.3f}", seen, said or "-")
    return table


def _word(token: str) -> str:
    return printable(repr(token))


def _table(*columns: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table
