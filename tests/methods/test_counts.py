"""Trained and stored numbers of every learned method on both published geometries, and against the saved file."""

from __future__ import annotations

from typing import Any

import pytest

from methods.counting import counts

TABLE = [
    ("i2cl", {}, (128, 262_272), (128, 262_272)),
    ("live", {}, (131_104, 131_104), (131_104, 131_104)),
    ("live", {"site": "residual"}, (131_104, 131_104), (131_104, 131_104)),
    ("m2iv", {}, (262_208, 262_208), (262_208, 262_208)),
    ("mimic", {}, (263_168, 263_168), (263_168, 263_168)),
    ("mimic", {"form": "altered"}, (17_040_384, 17_040_384), (17_040_384, 17_040_384)),
    ("mimic", {"form": "altered_diagonal"}, (394_240, 394_240), (394_240, 394_240)),
    ("prefix_tuning", {}, (524_288, 524_288), (2_097_152, 2_097_152)),
    ("prefix_tuning", {"num_virtual_tokens": 20}, (1_310_720, 1_310_720), (5_242_880, 5_242_880)),
    ("hificl", {}, (2_228_224, 2_228_224), (2_228_224, 2_228_224)),
    ("hificl", {"factorize_key": False, "factorize_value": False}, (2_097_152, 2_097_152), (2_097_152, 2_097_152)),
    ("lora", {"scope": "official"}, (17_588_224, 17_588_224), (19_652_608, 19_652_608)),
    ("lora", {}, (13_631_488, 13_631_488), (16_777_216, 16_777_216)),
    ("lora", {"dora": True}, (13_959_168, 13_959_168), (17_301_504, 17_301_504)),
]
"""Method, options, and (trained, stored) on Idefics2-8b and on LLaVA-Interleave-7b."""


@pytest.mark.parametrize("method, options, idefics2, llava", TABLE, ids=[f"{row[0]}-{row[1]}" for row in TABLE])
def test_published_counts(
    method: str, options: dict[str, Any], idefics2: tuple[int, int], llava: tuple[int, int]
) -> None:
    assert counts("idefics2", method, **options) == idefics2
    assert counts("llava-interleave", method, **options) == llava


SWEEP = {
    4: (270_336, 540_672, 1_081_344, 2_162_688, 4_325_376),
    8: (278_528, 557_056, 1_114_112, 2_228_224, 4_456_448),
    16: (294_912, 589_824, 1_179_648, 2_359_296, 4_718_592),
}
"""HiFICL on Idefics2-8b: virtual tokens, and the counts at rank 1, 2, 4, 8 and 16."""


@pytest.mark.parametrize("virtual", SWEEP)
def test_counts_of_hificl_over_ranks(virtual: int) -> None:
    for rank, expected in zip((1, 2, 4, 8, 16), SWEEP[virtual], strict=True):
        assert counts("idefics2", "hificl", num_virtual_tokens=virtual, r=rank)[0] == expected
