"""The first weights already find the labels of like pictures."""

import dataclasses

import numpy as np
import pytest
import torch

from pretrain.architecture import build_model
from pretrain.batches import IGNORED, Encoder, hidden_states
from pretrain.episodes import Draw, made_up_labels
from pretrain.induction_start import IMAGE_AXIS, InductionStart, Rotations, start_projector
from pretrain.probes import probe_sample
from pretrain.recipe import SMALL


@pytest.fixture(scope="module")
def features(pools):
    """Features that differ by concept and hardly within one, as a trained tower's do, around a large common mean."""
    generator = torch.Generator().manual_seed(4)
    total = sum(len(pool) for pool in pools.values())
    features = 5 + 0.3 * torch.randn(total, 16, 128, generator=generator)
    concept, start = torch.tensor(pools["emoji"].labels["concept"].astype(np.int64)), len(pools["scenes"])
    features[start : start + 60] += 2 * torch.randn(10, 1, 128, generator=generator)[concept]
    return features


@pytest.fixture(scope="module")
def model(tokenizer, features):
    torch.manual_seed(1)
    built = build_model(dataclasses.replace(SMALL.architecture, vocabulary=len(tokenizer)), tokenizer).eval()
    mark = tokenizer(" A:", add_special_tokens=False).input_ids[-1]
    InductionStart(built, mark, 0).write()
    start_projector(built, features, 0)
    return built


def found_among_shown(model, task, catalogue, features, encoder):
    """The share of questions whose answer is likelier than every other answer that was shown."""
    draw = Draw(np.random.default_rng(9), catalogue)
    samples = [probe_sample(encoder, draw, task, 6) for _ in range(50)]
    batch = encoder.collate(samples)
    with torch.no_grad():
        logits = model.lm_head(hidden_states(model, batch, features, encoder))
    right = 0
    for row, sample in enumerate(samples):
        place = next(i for i, target in enumerate(sample.targets) if target != IGNORED)
        mark = sample.ids[place - 1]
        shown = {sample.ids[i] for i in range(1, place) if sample.ids[i - 1] == mark}
        right += max(shown, key=lambda token: float(logits[row, place - 1, token])) == sample.targets[place]
    return right / len(samples)


def test_labels_of_like_pictures_are_found_before_any_training(model, catalogue, features, tokenizer):
    def two_ways(draw):
        return made_up_labels(draw, family="emoji", ways=2)

    found = found_among_shown(model, two_ways, catalogue, features, Encoder(tokenizer))
    shuffled = features[torch.randperm(len(features), generator=torch.Generator().manual_seed(0))]
    without = found_among_shown(model, two_ways, catalogue, shuffled, Encoder(tokenizer))
    assert found > 0.7
    assert without < 0.6


def test_query_attends_to_answers_and_not_to_itself(model, catalogue, features, tokenizer):
    encoder = Encoder(tokenizer)
    draw = Draw(np.random.default_rng(2), catalogue)
    sample = probe_sample(encoder, draw, lambda draw: made_up_labels(draw, family="emoji", ways=2, same=True), 5)
    batch = encoder.collate([sample])
    place = next(i for i, target in enumerate(sample.targets) if target != IGNORED) - 1
    text = model.model.language_model
    text.set_attn_implementation("eager")
    embeddings = model.get_input_embeddings()(batch.ids)
    visual = model.model.multi_modal_projector(features[batch.images])
    embeddings = embeddings.masked_scatter((batch.ids == encoder.image)[..., None], visual.flatten(0, 1))
    with torch.no_grad():
        weights = text(inputs_embeds=embeddings, output_attentions=True).attentions[2][0, :, place].mean(0)
    text.set_attn_implementation("sdpa")
    label = sample.ids[place + 1]
    assert weights[[i for i, token in enumerate(sample.ids[:place]) if token == label]].sum() > 0.5
    assert weights[place] < 0.2


def test_words_carry_nothing_on_the_image_axis_and_pieces_of_images_do(model, features):
    assert model.get_input_embeddings().weight[:, IMAGE_AXIS].abs().max() == 0
    pieces = model.model.multi_modal_projector(features[:3])
    torch.testing.assert_close(pieces[..., IMAGE_AXIS], torch.full((3, 16), 8.0))


def test_projector_removes_what_all_images_share(model, features):
    pieces = model.model.multi_modal_projector.linear_1(features)
    assert pieces.mean((0, 1)).abs().max() < 0.2 < pieces.std()


@pytest.mark.parametrize("offset", [1, 7])
def test_looking_back_scores_best_at_its_offset(offset):
    rotations = Rotations(1e6 ** (-torch.arange(0, 40, 2) / 40))
    components = rotations.components(0.03, 1.0)
    query = rotations.looking_back(components, offset)
    scores = []
    for distance in range(20):
        angles = distance * rotations.angles
        turned = query[:20] * angles.cos() - query[20:] * angles.sin()
        scores.append(float(turned[components].sum()))
    assert int(np.argmax(scores)) == offset
