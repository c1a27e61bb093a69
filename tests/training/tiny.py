"""A tiny random LLaVA as a saved folder and a few examples: what the training tests, and their processes, run on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen2Config,
    SiglipImageProcessorPil,
    SiglipVisionConfig,
)

from hificl.backbones import Backbone, load_backbone
from hificl.data import Example

COLOURS = ("red", "blue", "green", "black", "white", "yellow", "orange", "purple", "light blue", "grey", "brown")
IMAGE_SIZE, PATCH = 64, 16


def tokenizer() -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    marks = ["<pad>", "<s>", "</s>", "<image>"]
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=marks, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    core.train_from_iterator([" what color is the shape? A: red\n", " light blue\n", " yellow\n"] * 20, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", bos_token="<s>", eos_token="</s>",
        extra_special_tokens={"image_token": "<image>"},
    )  # fmt: skip


def save_tiny_llava(folder: Path, *, seed: int = 0, heads: int = 6, layers: int = 2, hidden: int = 60) -> Path:
    """Heads of 10 values, grouped queries, 16 image tokens: a tiny relative of the embedded model."""
    torch.manual_seed(seed)
    words = tokenizer()
    config = LlavaConfig(
        vision_config=SiglipVisionConfig(
            hidden_size=24, intermediate_size=28, num_hidden_layers=1, num_attention_heads=3,
            image_size=IMAGE_SIZE, patch_size=PATCH, vision_use_head=False,
        ),
        text_config=Qwen2Config(
            vocab_size=len(words), hidden_size=hidden, intermediate_size=50, num_hidden_layers=layers,
            num_attention_heads=heads, num_key_value_heads=2, max_position_embeddings=199,
            tie_word_embeddings=True, initializer_range=0.3, bos_token_id=words.bos_token_id,
            eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id,
        ),
        image_token_index=words.convert_tokens_to_ids("<image>"), image_seq_length=(IMAGE_SIZE // PATCH) ** 2,
        vision_feature_layer=-1, vision_feature_select_strategy="full", tie_word_embeddings=True,
    )  # fmt: skip
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    LlavaProcessor(
        image_processor=SiglipImageProcessorPil(size={"height": IMAGE_SIZE, "width": IMAGE_SIZE}), tokenizer=words,
        patch_size=PATCH, vision_feature_select_strategy="full", num_additional_image_tokens=0,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def colour_examples(number: int = 11) -> list[Example]:
    """One image each, of different colours, sizes, question lengths and answer lengths."""
    return [
        Example(
            id=f"q{index}",
            images=[Image.new("RGB", (17 + index, 23), colour.split()[-1])],
            question="what color is the shape" + " shape" * (index % 3) + "?",
            answers=[colour],
        )
        for index, colour in enumerate(COLOURS[:number])
    ]


def load_tiny(folder: Path | str) -> Backbone:
    """Load a tiny model on the CPU, without the training defaults that were chosen for the embedded one."""
    backbone = load_backbone(folder, device="cpu")
    return replace(backbone, family=replace(backbone.family, training_defaults={}))
