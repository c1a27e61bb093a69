from __future__ import annotations

import math

import torch
from torch import nn

from hificl.backbones import Backbone
from hificl.backbones.arguments import keeps_some_logits, takes_argument
from hificl.data import Example
from hificl.training.loss import IGNORED, answer_loss, answer_positions
from hificl.training.samples import Batches, EncodedExamples

LENGTH, VOCABULARY = 9, 13


def labels() -> torch.Tensor:
    """Left-padded: answers of two and four tokens at the right end."""
    rows = torch.full((2, LENGTH), IGNORED)
    rows[0, -2:] = torch.tensor([5, 3])
    rows[1, -4:] = torch.tensor([7, 1, 12, 3])
    return rows


def by_hand(logits: torch.Tensor, targets: torch.Tensor) -> float:
    """Mean over answer tokens of -log softmax at the position before, one token at a time."""
    losses = []
    for row in range(targets.shape[0]):
        for position in range(targets.shape[1]):
            if targets[row, position] != IGNORED:
                scores = logits[row, position - 1].double()
                losses.append(float(torch.logsumexp(scores, 0) - scores[targets[row, position]]))
    return sum(losses) / len(losses)


def test_loss_is_the_mean_over_answer_tokens() -> None:
    logits = torch.randn(2, LENGTH, VOCABULARY, generator=torch.Generator().manual_seed(0))
    loss = answer_loss({"logits": logits}, labels())
    assert math.isclose(float(loss), by_hand(logits, labels()), rel_tol=1e-5)


def test_logits_at_answer_positions_suffice() -> None:
    logits = torch.randn(2, LENGTH, VOCABULARY, generator=torch.Generator().manual_seed(0))
    positions = answer_positions(labels())
    assert positions == 5
    assert torch.equal(
        answer_loss({"logits": logits[:, -positions:]}, labels()), answer_loss({"logits": logits}, labels())
    )


def test_micro_batches_add_up() -> None:
    """With answers of different lengths a mean of means would be another number."""
    logits = torch.randn(2, LENGTH, VOCABULARY, generator=torch.Generator().manual_seed(0))
    parts = [answer_loss({"logits": logits[row : row + 1]}, labels()[row : row + 1], torch.tensor(6)) for row in (0, 1)]
    torch.testing.assert_close(sum(parts), answer_loss({"logits": logits}, labels()))


def test_loss_is_float32_for_low_precision_logits() -> None:
    logits = torch.randn(2, LENGTH, VOCABULARY, generator=torch.Generator().manual_seed(0)).bfloat16()
    loss = answer_loss({"logits": logits}, labels())
    assert loss.dtype == torch.float32
    assert math.isclose(float(loss), by_hand(logits, labels()), rel_tol=1e-5)


def test_batch_of_a_backbone(backbone: Backbone, examples: list[Example]) -> None:
    """The model's loss at the kept positions equals the one from all its logits, and covers answer and end alone."""
    encoded = EncodedExamples(backbone, examples[:3])
    batch = Batches(backbone, {"use_cache": False}, keeps_some_logits(backbone.model))(
        [encoded[0], encoded[1], encoded[2]]
    )
    targets = batch.pop("labels")
    longest = max(len(encoded[index].answer_ids) for index in range(3))
    assert batch["logits_to_keep"] == longest + 1
    few = backbone.model(**batch).logits
    assert few.shape[1] == longest + 1
    batch.pop("logits_to_keep")
    everywhere = backbone.model(**batch).logits
    torch.testing.assert_close(answer_loss({"logits": few}, targets), answer_loss({"logits": everywhere}, targets))
    counted = [[int(label) for label in row if label != IGNORED] for row in targets]
    assert counted == [encoded[index].answer_ids for index in range(3)]
    end = backbone.tokenizer.convert_tokens_to_ids(backbone.tokenizer.tokenize("\n"))
    assert all(row[-1:] == end for row in counted)


class Plain(nn.Module):
    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return input_ids


def test_model_without_the_arguments() -> None:
    assert not keeps_some_logits(Plain())
    assert not takes_argument(Plain(), "use_cache")
    assert takes_argument(Plain(), "input_ids")
