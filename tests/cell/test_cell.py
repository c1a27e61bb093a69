"""Cells that make no sense, and what cells are called."""

from __future__ import annotations

from typing import Any

import pytest

from hificl.cell import Cell
from hificl.errors import InputError


@pytest.mark.parametrize(
    "method, options, said",
    [
        ("zero_shot", {"r": 3}, "zero_shot has no option r"),
        ("icl", {"retrieval": "rices", "steps": 3}, "icl has no option steps"),
        ("icl", {"retrieval": "clip"}, "retrieval 'clip' is unknown; use random or rices"),
    ],
)
def test_options_that_a_prompt_does_not_have(method: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Cell(method, shots=2 if method == "icl" else 0, options=options)


@pytest.mark.parametrize(
    "method, shots, control", [("icl", 0, None), ("zero_shot", 4, None), ("lro", 0, None), ("hificl", 0, "blind")]
)
def test_cells_that_make_no_sense(method: str, shots: int, control: str | None) -> None:
    with pytest.raises(InputError, match="cell: "):
        Cell(method, shots=shots, control=control)


def test_every_cell_has_its_own_name() -> None:
    assert Cell("icl", shots=8).name == "icl_8"
    assert Cell("hificl", control="random_lm").name == "hificl_random_lm"
    assert Cell("lora", options={"use_dora": True}, variant="dora").name == "dora"
    assert Cell("icl", shots=8, options={"retrieval": "rices"}, variant="icl_rices").name == "icl_rices_8"
    unnamed = [Cell("lora", options={"r": rank}).name for rank in (3, 4)]
    assert all(name.startswith("lora_") for name in unnamed)
    assert len({*unnamed, "lora"}) == 3
