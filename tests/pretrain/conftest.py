"""Small pools, a small tokenizer and a catalogue that the pretraining tests share."""

import numpy as np
import pytest

from pretrain.catalogue import build_catalogue
from pretrain.data.facts import Fact
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


FACTS = [
    Fact("capital", "france", "paris"),
    Fact("capital", "peru", "lima"),
    Fact("continent", "peru", "south america"),
    Fact("de", "thing a", "ding a"),
    Fact("de", "thing h", "ding h"),
]


@pytest.fixture(scope="session")
def pools(scenes, emoji):
    """The scenes, pictures like emoji and pictures like garments; the order is that of their image numbers."""
    garments = ImagePool(emoji.images[:24], {"concept": emoji.labels["concept"][:24]}, {"concept": [*"abcd"]})
    return {"scenes": scenes, "emoji": emoji, "fashion": garments}


@pytest.fixture(scope="session")
def offsets(scenes, emoji):
    return {"scenes": 0, "emoji": len(scenes), "fashion": len(scenes) + len(emoji)}


@pytest.fixture(scope="session")
def tokenizer(emoji):
    return train_tokenizer(emoji.names["concept"], 1400)


@pytest.fixture(scope="session")
def catalogue(pools, offsets):
    return build_catalogue(pools, offsets, False, FACTS)


@pytest.fixture(scope="session")
def held_out_catalogue(pools, offsets):
    return build_catalogue(pools, offsets, True, FACTS)


@pytest.fixture(scope="session")
def scenes_only(scenes):
    return build_catalogue({"scenes": scenes}, {"scenes": 0}, False)
