"""A tiny model and eleven questions, for all tests of comparisons."""

from __future__ import annotations

import pytest
import torch

from hificl.backbones import Backbone
from hificl.data import Example
from hificl.tasks import TaskData
from training.tiny import colour_examples, load_tiny, save_tiny_llava


@pytest.fixture(scope="package")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    torch.set_num_threads(1)
    return load_tiny(save_tiny_llava(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="package")
def data() -> TaskData:
    """Seven support examples and four queries, of which three are open."""
    examples = colour_examples()
    queries = [
        Example(one.id, one.images, one.question, one.answers, {"open": number != 2})
        for number, one in enumerate(examples[7:])
    ]
    return TaskData(examples[:7], queries)
