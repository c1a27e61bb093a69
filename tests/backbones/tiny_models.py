"""Tiny random models with their own tokenizers, saved as folders: one twin per family, and a text model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    Idefics2Processor,
    Idefics3Processor,
    IdeficsProcessor,
    LlavaProcessor,
    PaliGemmaProcessor,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    SiglipImageProcessorPil,
)
from transformers.models.idefics.image_processing_pil_idefics import IdeficsImageProcessorPil
from transformers.models.idefics2.image_processing_pil_idefics2 import Idefics2ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

from hificl.data import Example

CORPUS = [
    " what color is the shape?",
    " A: red\n",
    " A: light blue\n",
    " A: circle\n",
    " yes. no.",
    " user assistant",
] * 30

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}"
    "{% endif %}{% endfor %}{% endif %}<|end|>\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
)
"""Writes a space between the role and the text of an answered turn, but opens a turn without it."""

TEXT = {
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "max_position_embeddings": 311,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 0.3,
}
VISION = {"hidden_size": 32, "intermediate_size": 40, "num_attention_heads": 4, "num_hidden_layers": 1}


def tiny_tokenizer(special: list[str], **options: Any) -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<pad>", "<s>", "</s>", *special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(CORPUS * 30, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", bos_token="<s>", eos_token="</s>", **options
    )


def image_tokenizer() -> PreTrainedTokenizerFast:
    return tiny_tokenizer(["<image>", "<|end|>"], extra_special_tokens={"image_token": "<image>", "end": "<|end|>"})


def save_llava(folder: Path, *, image_size: int = 64, chat_template: str | None = None) -> None:
    tokenizer = image_tokenizer()
    save_model(
        folder,
        "llava",
        text_config=TEXT | {"model_type": "qwen2", "vocab_size": len(tokenizer), "num_key_value_heads": 3},
        vision_config=VISION
        | {"model_type": "siglip_vision_model", "image_size": image_size, "patch_size": 16, "vision_use_head": False},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    LlavaProcessor(
        image_processor=SiglipImageProcessorPil(size={"height": image_size, "width": image_size}),
        tokenizer=tokenizer,
        patch_size=16,
        vision_feature_select_strategy="full",
        chat_template=chat_template,
    ).save_pretrained(folder)


def save_text_model(folder: Path) -> None:
    tokenizer = image_tokenizer()
    torch.manual_seed(1)
    config = Qwen2Config(**TEXT, vocab_size=len(tokenizer), num_key_value_heads=3, tie_word_embeddings=True)
    Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_idefics(folder: Path) -> None:
    marks = ["<fake_token_around_image>", "<image>"]
    tokenizer = tiny_tokenizer(marks, additional_special_tokens=marks)
    save_model(
        folder,
        "idefics",
        **TEXT,
        vocab_size=len(tokenizer),
        cross_layer_interval=2,
        use_resampler=True,
        vision_config={"embed_dim": 32, "image_size": 28, "patch_size": 14, **VISION},
        perceiver_config={
            "use_resampler": True,
            "resampler_n_latents": 5,
            "resampler_depth": 1,
            "resampler_n_heads": 2,
            "resampler_head_dim": 8,
        },
    )
    IdeficsProcessor(IdeficsImageProcessorPil(image_size=28), tokenizer).save_pretrained(folder)


def save_idefics2(folder: Path) -> None:
    tokenizer = tiny_tokenizer(["<fake_token_around_image>", "<image>", "<end_of_utterance>"])
    text = {"model_type": "mistral", "vocab_size": len(tokenizer) + 3, "num_key_value_heads": 3, "head_dim": 8}
    save_model(
        folder,
        "idefics2",
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        text_config=TEXT | text,
        vision_config=VISION | {"image_size": 28, "patch_size": 14},
        perceiver_config={
            "hidden_size": 48,
            "resampler_n_latents": 5,
            "resampler_depth": 1,
            "resampler_n_heads": 2,
            "resampler_head_dim": 8,
            "num_key_value_heads": 1,
        },
    )
    images = Idefics2ImageProcessorPil(size={"longest_edge": 42, "shortest_edge": 28})
    Idefics2Processor(images, tokenizer, image_seq_len=5).save_pretrained(folder)


def save_smolvlm(folder: Path, *, model_type: str = "idefics3") -> None:
    """Images of 36 pixels, whose 9 x 9 patches the connector packs to 9 tokens."""
    marks = ["<fake_token_around_image>", "<image>", "<global-img>", "<end_of_utterance>"]
    tokenizer = tiny_tokenizer(marks)
    text = {"model_type": "llama", "vocab_size": len(tokenizer), "num_key_value_heads": 3, "head_dim": 8}
    save_model(
        folder,
        model_type,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=3,
        tie_word_embeddings=False,
        text_config=TEXT | text,
        vision_config=VISION | {"image_size": 36, "patch_size": 4},
    )
    images = Idefics3ImageProcessorPil(size={"longest_edge": 72}, max_image_size={"longest_edge": 36})
    Idefics3Processor(images, tokenizer, image_seq_len=9).save_pretrained(folder)


def save_paligemma(folder: Path) -> None:
    tokenizer = tiny_tokenizer(["<image>"], extra_special_tokens={"image_token": "<image>"})
    text = {"model_type": "gemma", "vocab_size": len(tokenizer), "num_key_value_heads": 3, "head_dim": 8}
    vision = {"model_type": "siglip_vision_model", "image_size": 28, "patch_size": 14, "vision_use_head": False}
    save_model(
        folder,
        "paligemma",
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        hidden_size=48,
        projection_dim=48,
        vocab_size=len(tokenizer),
        text_config=TEXT | text,
        vision_config=VISION | vision | {"projection_dim": 48},
    )
    images = SiglipImageProcessorPil(size={"height": 28, "width": 28})
    images.image_seq_length = 4
    PaliGemmaProcessor(images, tokenizer).save_pretrained(folder)


TWINS = {
    "embedded": save_llava,
    "idefics": save_idefics,
    "idefics2": save_idefics2,
    "paligemma": save_paligemma,
    "smolvlm": save_smolvlm,
}
"""Per family, what saves its tiny twin. The processor of Qwen3-VL needs torchvision, so it has none here."""


def save_model(folder: Path, model_type: str, **config: Any) -> None:
    torch.manual_seed(0)
    made = AutoConfig.for_model(model_type, **config)
    AutoModelForImageTextToText.from_config(made).save_pretrained(folder)


def make_examples() -> list[Example]:
    """Seven examples of different colours, image sizes and question lengths; the fourth has two images."""
    colours = ["red", "blue", "green", "black", "white", "yellow", "orange"]
    return [
        Example(
            id=f"q{index}",
            images=[Image.new("RGB", (30 + 9 * index, 43), colour)] * (2 if index == 3 else 1),
            question="what color is the shape" + " shape" * index + "?",
            answers=[colour],
        )
        for index, colour in enumerate(colours)
    ]
