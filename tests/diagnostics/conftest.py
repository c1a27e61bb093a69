"""A tiny image-text backbone, the same in float64, and eleven questions about colours."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from hificl.backbones import Backbone
from hificl.data import Example
from hificl.tasks import TaskData
from training.tiny import colour_examples, load_tiny, save_tiny_llava


@pytest.fixture(scope="package")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    """Two layers of six heads of ten on two key-value heads; sixteen tokens an image."""
    torch.set_num_threads(1)
    return load_tiny(save_tiny_llava(tmp_path_factory.mktemp("diagnostics") / "llava"))


@pytest.fixture(scope="package")
def double(backbone: Backbone) -> Backbone:
    """The same weights in float64."""
    return replace(backbone, model=copy.deepcopy(backbone.model).double())


@pytest.fixture(scope="package")
def examples() -> list[Example]:
    return colour_examples()


@pytest.fixture(scope="package")
def data(examples: list[Example]) -> TaskData:
    """Seven support examples and four queries."""
    return TaskData(examples[:7], examples[7:])
