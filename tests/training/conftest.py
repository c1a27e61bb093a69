"""The tiny backbone and its examples, one thread, quiet libraries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import transformers

from hificl.backbones import Backbone
from hificl.data import Example

from .tiny import colour_examples, load_tiny, save_tiny_llava


@pytest.fixture(autouse=True, scope="session")
def quiet_single_thread() -> Iterator[None]:
    threads, verbosity = torch.get_num_threads(), transformers.logging.get_verbosity()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    yield
    torch.set_num_threads(threads)
    transformers.logging.set_verbosity(verbosity)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llava(tmp_path_factory.mktemp("llava"))


@pytest.fixture(scope="session")
def backbone(folder: Path) -> Backbone:
    return load_tiny(folder)


@pytest.fixture(scope="session")
def examples() -> list[Example]:
    return colour_examples()
