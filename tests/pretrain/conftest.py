"""Small pools, a small tokenizer and a catalogue that the pretraining tests share."""

import numpy as np
import pytest

from pretrain.catalogue import build_catalogue
from pretrain.data.emoji import no_emoji
from pretrain.data.pool import ImagePool
from pretrain.data.scenes import build_scenes
from pretrain.vocabulary import train_tokenizer


def emoji_like_pool():
    """Return a pool labelled like the emoji's, 6 images of each of 10 concepts in 2 groups."""
    concepts = [f"thing {letter}" for letter in "abcdefghij"]
    concept = np.repeat(np.arange(10), 6).astype(np.int16)
    labels = {
        "concept": concept,
        "style": (np.arange(60) % 2).astype(np.int16),
        "group": (concept // 5).astype(np.int16),
        "kind": (concept // 5).astype(np.int16),
        "held_out": (concept >= 7).astype(np.int16),
    }
    names = {
        "concept": concepts,
        "style": ["one", "two"],
        "group": ["animal-bird", "drink"],
        "kind": ["Animals & Nature", "Food & Drink"],
    }
    images = np.random.default_rng(3).integers(0, 256, (60, 64, 64, 3)).astype(np.uint8)
    return ImagePool(images, labels, names)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    return build_scenes(tmp_path_factory.mktemp("none"), 331, 5)


@pytest.fixture(scope="session")
def emoji():
    return emoji_like_pool()


@pytest.fixture(scope="session")
def tokenizer(emoji):
    return train_tokenizer(emoji.names["concept"], 1400)


@pytest.fixture(scope="session")
def catalogue(scenes, emoji):
    return build_catalogue(scenes, 0, emoji, len(scenes), held_out=False)


@pytest.fixture(scope="session")
def held_out_catalogue(scenes, emoji):
    return build_catalogue(scenes, 0, emoji, len(scenes), held_out=True)


@pytest.fixture(scope="session")
def scenes_only(scenes):
    return build_catalogue(scenes, 0, no_emoji(), len(scenes), held_out=False)
