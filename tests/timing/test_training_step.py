"""A training step costs what it costs the frozen decoder itself: law 3, measured against that rival in the same run.

Run alone (marker ``timing``): two test processes on two cores would time each other.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest
import torch
from peft import get_peft_model
from transformers import Qwen2Config, Qwen2ForCausalLM

from hificl import HiFICLConfig

LIMIT = 1.05
TOKENS_TO_TIME = 32_768  # so that short steps get more pairs; never fewer than seven
ANSWER_ROWS = 8


def frozen_decoder(kv_heads: int) -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=1024, hidden_size=512, intermediate_size=1408, num_hidden_layers=3,
        num_attention_heads=8, num_key_value_heads=kv_heads, max_position_embeddings=4096,
    )  # fmt: skip
    return Qwen2ForCausalLM(config).eval().requires_grad_(False)


def step(model: torch.nn.Module, queries: int, batch: int, mask: torch.Tensor | None) -> Callable[[], None]:
    embeddings = torch.randn(batch, queries, 512, requires_grad=True)
    labels = torch.randint(0, 1024, (batch * ANSWER_ROWS,))

    def run() -> None:
        logits = model(
            inputs_embeds=embeddings, attention_mask=mask, use_cache=False, logits_to_keep=ANSWER_ROWS
        ).logits
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels).backward()

    return run


def pair_ratios(ours: Callable[[], None], rival: Callable[[], None], pairs: int) -> list[float]:
    """Time the two in turn; processor time of this process, so that a busy machine does not decide."""
    rival()
    ours()
    ratios = []
    for _ in range(pairs):
        start = time.process_time()
        rival()
        middle = time.process_time()
        ours()
        ratios.append((time.process_time() - middle) / (middle - start))
    return ratios


@pytest.mark.timing
@pytest.mark.parametrize(
    ("queries", "batch", "padded", "kv_heads"),
    [(512, 1, False, 8), (1024, 1, False, 4), (160, 8, True, 4)],
)
def test_step_against_the_frozen_decoder(queries: int, batch: int, padded: bool, kv_heads: int) -> None:
    torch.set_num_threads(1)
    mask = None
    if padded:
        mask = torch.ones(batch, queries, dtype=torch.long)
        for row in range(batch):
            mask[row, : 7 * row] = 0
    plain = frozen_decoder(kv_heads)
    adapted = get_peft_model(frozen_decoder(kv_heads), HiFICLConfig()).eval()
    ratios = pair_ratios(
        step(adapted, queries, batch, mask),
        step(plain, queries, batch, mask),
        max(7, TOKENS_TO_TIME // (queries * batch)),
    )
    median = statistics.median(ratios)
    measured = f"T={queries} batch={batch} padded={padded} kv_heads={kv_heads}"
    print(f"{measured}: {median:.3f} ({min(ratios):.3f}-{max(ratios):.3f})")
    assert median <= LIMIT, f"step costs {median:.3f} times the frozen decoder's; pairs {sorted(ratios)}"
