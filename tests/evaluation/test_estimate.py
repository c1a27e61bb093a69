"""The size of an evaluation before it starts."""

from __future__ import annotations

import pytest

from hificl.backbones import Backbone, load_backbone
from hificl.data import Example
from hificl.errors import InputError
from hificl.evaluation import Queries, estimate, estimate_size

CACHE_PER_TOKEN = 2 * 2 * 3 * 8 * 4
"""Keys and values, layers, kv heads, head size, bytes of a float."""


def test_tokens_are_counted_and_weights_weighed(backbone: Backbone, examples: list[Example]) -> None:
    queries = Queries(backbone, examples)
    made = estimate_size(backbone, queries, new_tokens=9, batch_size=3)
    assert made.samples == 7
    assert made.prompt_tokens == sum(queries.lengths)
    assert made.longest_prompt == max(queries.lengths)
    assert made.weight_bytes == 4 * backbone.model.num_parameters()
    assert made.peak_bytes == made.weight_bytes + 3 * made.row_bytes
    assert f"7 queries, {sum(queries.lengths)} prompt tokens" in str(made)


def test_a_row_holds_its_cache_and_its_images(backbone: Backbone, examples: list[Example]) -> None:
    queries = Queries(backbone, examples)
    sizes = [estimate_size(backbone, queries, new_tokens=new, batch_size=1).row_bytes for new in (10, 15)]
    assert sizes[0] > CACHE_PER_TOKEN * (max(queries.lengths) + 10) + max(queries.image_bytes)
    assert sizes[1] - sizes[0] >= 5 * CACHE_PER_TOKEN
    queries.image_bytes[4] += 10**7
    grown = estimate_size(backbone, queries, new_tokens=10, batch_size=1).row_bytes
    assert grown - sizes[0] == queries.image_bytes[4] - max(queries.image_bytes[:4])


def test_plain_attention_needs_room_for_all_scores(backbone: Backbone, examples: list[Example]) -> None:
    eager = load_backbone(backbone.name, device="cpu", attn_implementation="eager")
    fused_row, eager_row = (
        estimate_size(one, Queries(one, examples), new_tokens=3, batch_size=1).row_bytes for one in (backbone, eager)
    )
    length = max(Queries(backbone, examples).lengths) + 3
    assert eager_row - fused_row == length * length * (6 * 4 - 1)


def test_automatic_batch_fills_the_budget(
    backbone: Backbone, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = Queries(backbone, examples)
    row = estimate_size(backbone, queries, new_tokens=3, batch_size=1).row_bytes
    chosen = []
    for budget in (row // 2, 3 * row + 1, 10**12):
        monkeypatch.setattr(estimate, "CPU_BYTES", budget)
        chosen.append(estimate_size(backbone, queries, new_tokens=3, batch_size=None).batch_size)
    monkeypatch.setattr(estimate, "LARGEST_BATCH", 5)
    chosen.append(estimate_size(backbone, queries, new_tokens=3, batch_size=None).batch_size)
    assert chosen == [1, 3, 7, 5]


def test_batch_size_below_one(backbone: Backbone, examples: list[Example]) -> None:
    with pytest.raises(InputError, match="batch_size is 0"):
        estimate_size(backbone, Queries(backbone, examples), new_tokens=3, batch_size=0)
