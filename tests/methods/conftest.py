"""A tiny image-text backbone, and what a fit on it may use."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from hificl.backbones import Backbone
from hificl.methods.fitting import Fitting
from training.tiny import colour_examples, load_tiny, save_tiny_llava


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    """Two layers of six heads of ten, in float32."""
    return load_tiny(save_tiny_llava(tmp_path_factory.mktemp("methods") / "llava"))


@pytest.fixture(scope="session")
def double(backbone: Backbone) -> Backbone:
    """The same weights in float64, for the rounding error of a reference."""
    return replace(backbone, model=copy.deepcopy(backbone.model).double())


@pytest.fixture(scope="session")
def fitting(backbone: Backbone) -> Fitting:
    """Seven examples to take values from and four to choose by."""
    examples = colour_examples()
    return Fitting(backbone, examples[:7], examples[7:], "exact_match", seed=3)
