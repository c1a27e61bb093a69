"""Batches hold the prompt form exactly, and targets stand on answers alone."""

import numpy as np
import pytest
import torch
from PIL import Image

from pretrain import wording
from pretrain.batches import Encoder, Sample, draw_batch, pool_tokens
from pretrain.data.scenes import COLORS, SHAPES
from pretrain.episodes import Draw, Round
from pretrain.export import build_processor


@pytest.fixture(scope="module")
def encoder(tokenizer):
    return Encoder(tokenizer)


def test_ids_are_those_of_the_processor(encoder, tokenizer):
    turns = [Round(0, "what color is it?", "it is red."), Round(1, "is no ring shown?", "no fuzan")]
    ids = [encoder.bos]
    for turn in turns:
        ids += encoder.round_tokens(turn)[0]
    text = "".join(f"<image> {turn.question} A: {turn.answer}\n" for turn in turns)
    image = Image.new("RGB", (64, 64))
    expected = build_processor(tokenizer)(images=[image, image], text=text)["input_ids"]
    assert ids == list(np.asarray(expected).reshape(-1))
    assert ids.count(encoder.image) == 32


def test_targets_are_the_answer_and_its_newline(encoder):
    ids, targets = encoder.round_tokens(Round(3, "shape?", "star"))
    assert [t for t in targets if t != -100] == [*encoder.encode(" star"), encoder.newline]
    assert [i for i, t in zip(ids, targets, strict=True) if t != -100] == ids[-2:]
    assert set(encoder.round_tokens(Round(3, "shape?", "star", learned=False))[1]) == {-100}


def test_newline_is_one_token(encoder):
    assert len(encoder.encode("\n")) == 1


def test_repeated_words_count_from_the_second_time(encoder, catalogue):
    sample = encoder.repeated(Draw(np.random.default_rng(0), catalogue), 61)
    count = sample.targets.index(next(t for t in sample.targets if t != -100)) - 1
    assert len(sample.ids) == len(sample.targets) == 61
    assert sample.ids[1 + count : 1 + 2 * count] == sample.ids[1 : 1 + count]
    assert sample.targets[1 + count :] == sample.ids[1 + count :]
    assert set(sample.ids[1:]) <= {encoder.encode(f" {word}")[0] for word in wording.MADE_UP + COLORS + SHAPES}


def test_batches_keep_to_their_length_and_are_a_function_of_the_randomness(encoder, catalogue):
    mix = {"labels": 0.5, "scenes": 0.3, "repeated words": 0.2}
    first, again = (
        draw_batch(encoder, Draw(np.random.default_rng(6), catalogue), mix, 900, (70, 130)) for _ in range(2)
    )
    assert torch.equal(first.ids, again.ids)
    assert torch.equal(first.images, again.images)
    assert 70 <= first.ids.shape[1] <= 130
    assert first.ids.numel() <= 900
    assert (first.ids == encoder.image).sum() == 16 * len(first.images)
    answered = first.targets != -100
    assert torch.equal(first.targets[answered], first.ids[answered])


def test_collate_pads_on_the_right_without_targets(encoder):
    batch = encoder.collate([Sample([1, 5, 6], [-100, -100, 6], []), Sample([1, 7], [-100, 7], [4])])
    assert batch.ids.tolist() == [[1, 5, 6], [1, 7, encoder.pad]]
    assert batch.targets.tolist() == [[-100, -100, 6], [-100, 7, -100]]
    assert batch.images.tolist() == [4]


def test_pooled_tokens_are_means_of_square_blocks():
    features = torch.arange(16.0).view(1, 16, 1).repeat(2, 1, 3)
    assert pool_tokens(features, 16) is features
    assert pool_tokens(features, 1).tolist() == [[[7.5] * 3]] * 2
    assert pool_tokens(features, 4)[1, :, 0].tolist() == [2.5, 4.5, 10.5, 12.5]
