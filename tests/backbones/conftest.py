"""The tiny saved models, shared with the other tests that need a backbone."""

from backbones.fixtures import (  # noqa: F401
    backbone,
    chat_backbone,
    examples,
    llava_folder,
    text_backbone,
    text_examples,
)
