"""The decoder that the stages train: fp32 attention inside, cached features in place of the tower."""

import dataclasses

import pytest
import torch

from pretrain import float_attention
from pretrain.architecture import build_model
from pretrain.batches import Encoder, Sample, answer_loss, hidden_states
from pretrain.episodes import Round
from pretrain.export import build_processor
from pretrain.probes import exact_match
from pretrain.recipe import TINY
from pretrain.vision import cache_features


@pytest.fixture(scope="module")
def model(tokenizer):
    torch.manual_seed(1)
    architecture = dataclasses.replace(TINY.architecture, vocabulary=len(tokenizer))
    built = build_model(architecture, tokenizer).eval()
    for layer in built.model.language_model.layers:  # they start at zero, which would hide a wrong attention
        torch.nn.init.normal_(layer.self_attn.o_proj.weight, std=0.2)
        torch.nn.init.normal_(layer.mlp.down_proj.weight, std=0.2)
    return built


def sample(encoder, images, answer="red"):
    ids, targets = [encoder.bos], [-100]
    for image in images:
        more, wanted = encoder.round_tokens(Round(image, "color?", answer))
        ids, targets = ids + more, targets + wanted
    return Sample(ids, targets, list(images))


def test_float_attention_gives_the_logits_of_the_usual_one(model, tokenizer):
    encoder = Encoder(tokenizer)
    batch = encoder.collate([sample(encoder, [0, 1]), sample(encoder, [1])])
    features = torch.randn(2, 16, 64)
    usual = hidden_states(model, batch, features, encoder)
    model.model.language_model.set_attn_implementation(float_attention.NAME)
    ours = hidden_states(model, batch, features, encoder)
    model.model.language_model.set_attn_implementation("sdpa")
    real = batch.ids != encoder.pad
    torch.testing.assert_close(ours[real], usual[real], rtol=1e-4, atol=1e-4)


def test_cached_features_give_what_the_whole_model_gives(model, tokenizer, scenes):
    encoder = Encoder(tokenizer)
    batch = encoder.collate([sample(encoder, [0, 1])])
    features = cache_features(model.model.vision_tower, scenes.images[:2]).float()
    ours = model.lm_head(hidden_states(model, batch, features, encoder))
    text = "<image> color? A: red\n" * 2
    inputs = build_processor(tokenizer)(images=list(scenes.images[:2]), text=text, return_tensors="pt")
    whole = model(**inputs).logits
    torch.testing.assert_close(ours, whole, rtol=0.05, atol=0.05)  # the cache rounds to bf16


def test_loss_counts_answers_only_and_is_zero_without_any(model, tokenizer):
    encoder = Encoder(tokenizer)
    features = torch.randn(1, 16, 64)
    one = sample(encoder, [0])
    blind = Sample(one.ids, [-100] * len(one.ids), one.images)
    assert float(answer_loss(model, encoder.collate([blind]), features, encoder)) == 0
    alone = answer_loss(model, encoder.collate([one]), features, encoder)
    both = answer_loss(model, encoder.collate([one, blind]), features.repeat(2, 1, 1), encoder)
    torch.testing.assert_close(alone, both)


def test_exact_match_needs_every_token_of_the_answer(model, tokenizer):
    encoder = Encoder(tokenizer)
    features = torch.randn(1, 16, 64)
    first = sample(encoder, [0], "it is red.")
    hidden = hidden_states(model, encoder.collate([first]), features, encoder)
    likely = model.lm_head(hidden)[0].argmax(-1).tolist()
    start = next(i for i, target in enumerate(first.targets) if target != -100)
    right = Sample(first.ids, [-100] * start + likely[start - 1 : -1], first.images)
    wrong = Sample(first.ids, [*right.targets[:-1], (right.targets[-1] + 1) % 50], first.images)
    assert exact_match(model, [right], features, encoder) == 100
    assert exact_match(model, [right, wrong], features, encoder) == 50
