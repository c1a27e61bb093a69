"""Writes the model folder: bf16 weights, configuration, processor, tokenizer and generation settings."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from transformers import GenerationConfig, LlavaForConditionalGeneration, LlavaProcessor, PreTrainedTokenizerFast
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from pretrain.data.pool import IMAGE_SIZE, PATCHES


def build_processor(tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    """Return the processor: 64x64 pixels in [-1, 1] through Pillow, 16 image tokens per `<image>`."""
    images = SiglipImageProcessorPil(
        size={"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
        do_convert_rgb=True,
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=IMAGE_SIZE // PATCHES,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=0,
        image_token="<image>",
    )


def save_model_folder(model: LlavaForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Save everything that `from_pretrained` needs into `folder`; the weights are rounded to bf16."""
    newline = tokenizer("\n", add_special_tokens=False).input_ids[0]
    half = copy.deepcopy(model).to(torch.bfloat16)
    half.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=[tokenizer.eos_token_id, newline],
        max_new_tokens=12,
        do_sample=False,
    )
    half.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    build_processor(tokenizer).save_pretrained(folder)
