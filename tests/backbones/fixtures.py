"""Tiny saved models and their backbones, one of each per session."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from backbones import tiny_models
from hificl.backbones import Backbone, load_backbone
from hificl.data import Example


@pytest.fixture(scope="session")
def llava_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shape of the embedded model: 64 pixels, no chat template."""
    folder = tmp_path_factory.mktemp("llava")
    tiny_models.save_llava(folder)
    return folder


@pytest.fixture(scope="session")
def backbone(llava_folder: Path) -> Backbone:
    return load_backbone(llava_folder, device="cpu")


@pytest.fixture(scope="session")
def chat_backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    """A LLaVA at 48 pixels, of no known family, with a chat template."""
    folder = tmp_path_factory.mktemp("chat")
    tiny_models.save_llava(folder, image_size=48, chat_template=tiny_models.CHAT_TEMPLATE)
    return load_backbone(folder, device="cpu")


@pytest.fixture(scope="session")
def text_backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    """A text-only Qwen2 without chat template."""
    folder = tmp_path_factory.mktemp("text")
    tiny_models.save_text_model(folder)
    return load_backbone(folder, device="cpu")


@pytest.fixture(scope="session")
def examples() -> list[Example]:
    return tiny_models.make_examples()


@pytest.fixture(scope="session")
def text_examples(examples: list[Example]) -> list[Example]:
    return [dataclasses.replace(example, images=[]) for example in examples]
