"""Families that put image features in place of marked tokens of the text decoder."""

from __future__ import annotations

from collections.abc import Callable

import torch
import transformers
from torch import Tensor
from transformers import PreTrainedModel

from .text_families import SIZES
from .twins import BEGIN, Sample, Twin, text_ids

IMAGE = 101
VISION = {
    "hidden_size": 24,
    "intermediate_size": 28,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 8,
    "patch_size": 4,
}
SIGLIP = {"model_type": "siglip_vision_model", "vision_use_head": False, **VISION}


def text(model_type: str, **changes: object) -> dict[str, object]:
    """Return the text part of a config."""
    return {"model_type": model_type, **SIZES, **changes}


def composite(family: str, suffix: str = "ForConditionalGeneration", **parts: object) -> Callable[[], PreTrainedModel]:
    """Return a constructor of the model class ``family + suffix`` from the parts of its config."""

    def construct() -> PreTrainedModel:
        config = getattr(transformers, f"{family}Config")(**parts)
        return getattr(transformers, f"{family}{suffix}")(config)

    return construct


def marked(
    images: Callable[[torch.Generator], dict[str, Tensor]], marks: int, kinds: tuple[str, int | None] | None = None
) -> Callable[[torch.Generator, int], Sample]:
    """Return a sample maker: begin mark, two text tokens, ``marks`` image marks, the rest of the text.

    ``kinds`` names a tensor of one number per token that is 1 at the given id and 0 elsewhere, or 0 everywhere.
    """

    def sample(generator: torch.Generator, length: int) -> Sample:
        ids = text_ids(generator, length)
        ids[0] = BEGIN
        ids = torch.cat([ids[:3], torch.full((marks,), IMAGE), ids[3:]])
        tokens = {"input_ids": ids}
        if kinds:
            tokens[kinds[0]] = torch.zeros_like(ids) if kinds[1] is None else (ids == kinds[1]).long()
        return Sample(tokens, images(generator))

    return sample


def pixels(*shape: int, **others: Tensor) -> Callable[[torch.Generator], dict[str, Tensor]]:
    """Return a maker of ``pixel_values`` of that shape, with constant companions."""
    return lambda generator: {"pixel_values": torch.randn(shape, generator=generator), **others}


def _llava(text_type: str) -> Callable[[], PreTrainedModel]:
    return composite(
        "Llava",
        image_token_index=IMAGE,
        vision_config=SIGLIP,
        text_config=text(text_type),
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
    )


LLAVA_ONEVISION = composite(
    "LlavaOnevision",
    image_token_index=IMAGE,
    video_token_index=102,
    vision_config=SIGLIP,
    text_config=text("qwen2"),
    image_grid_pinpoints=[[8, 8], [8, 16]],
    vision_feature_layer=-1,
)
IDEFICS2 = composite(
    "Idefics2",
    image_token_id=IMAGE,
    vision_config=VISION,
    text_config=text("mistral", head_dim=14),
    perceiver_config={
        "hidden_size": 60,
        "resampler_n_latents": 3,
        "resampler_depth": 1,
        "resampler_n_heads": 2,
        "resampler_head_dim": 8,
        "num_key_value_heads": 1,
    },
)
IDEFICS3, SMOLVLM = (
    composite(
        family, image_token_id=IMAGE, scale_factor=2, vision_config=VISION, text_config=text("llama", head_dim=14)
    )
    for family in ("Idefics3", "SmolVLM")
)
GEMMA3 = composite(
    "Gemma3",
    image_token_id=IMAGE,
    boi_token_id=102,
    eoi_token_id=103,
    mm_tokens_per_image=4,
    vision_config=SIGLIP,
    text_config=text(
        "gemma3_text",
        num_hidden_layers=3,
        head_dim=14,
        query_pre_attn_scalar=9,
        sliding_window=6,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
    ),
)
PALIGEMMA = composite(
    "PaliGemma",
    image_token_index=IMAGE,
    vocab_size=SIZES["vocab_size"],
    projection_dim=60,
    hidden_size=60,
    vision_config={**SIGLIP, "projection_dim": 60},
    text_config=text("gemma", head_dim=14),
)
INTERNVL = composite(
    "InternVL",
    image_token_id=IMAGE,
    image_seq_length=1,
    text_config=text("qwen2"),
    vision_config={**VISION, "image_size": [8, 8], "patch_size": [4, 4]},
)
MISTRAL3 = composite(
    "Mistral3",
    image_token_index=IMAGE,
    spatial_merge_size=2,
    text_config=text("mistral", head_dim=14),
    vision_config={"model_type": "pixtral", **VISION, "image_size": 16},
)
AYA_VISION = composite(
    "AyaVision",
    image_token_index=IMAGE,
    vision_config=SIGLIP,
    downsample_factor=2,
    text_config=text("cohere2", sliding_window=5, logit_scale=1.0),
)
BLIP2 = composite(
    "Blip2",
    image_token_index=IMAGE,
    num_query_tokens=3,
    vision_config=VISION,
    text_config=text("opt", ffn_dim=44, word_embed_proj_dim=60),
    qformer_config={
        "hidden_size": 20,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 22,
        "encoder_hidden_size": 24,
        "vocab_size": 30,
    },
)

IMAGE_FAMILIES = {
    twin.name: twin
    for twin in (
        Twin("llava_qwen2", _llava("qwen2"), marked(pixels(1, 3, 8, 8), 4)),
        Twin("llava_mistral", _llava("mistral"), marked(pixels(1, 3, 8, 8), 4)),
        Twin(
            "llava_onevision",
            LLAVA_ONEVISION,
            marked(pixels(1, 3, 3, 8, 8, image_sizes=torch.tensor([[8, 16]])), 4 + 8 + 2),
        ),
        Twin(
            "idefics2",
            IDEFICS2,
            marked(pixels(1, 1, 3, 8, 8, pixel_attention_mask=torch.ones(1, 1, 8, 8, dtype=torch.long)), 3),
        ),
        Twin("idefics3", IDEFICS3, marked(pixels(1, 1, 3, 8, 8), 1)),
        Twin("smolvlm", SMOLVLM, marked(pixels(1, 1, 3, 8, 8), 1)),
        Twin("gemma3", GEMMA3, marked(pixels(1, 3, 8, 8), 4, kinds=("token_type_ids", IMAGE))),
        Twin(
            "paligemma",
            PALIGEMMA,
            marked(pixels(1, 3, 8, 8), 4, kinds=("token_type_ids", None)),
            first_position=1,
            text_only=False,
        ),
        Twin("internvl", INTERNVL, marked(pixels(1, 3, 8, 8), 1)),
        Twin("mistral3", MISTRAL3, marked(pixels(1, 3, 8, 16, image_sizes=torch.tensor([[8, 16]])), 2)),
        Twin("aya_vision", AYA_VISION, marked(pixels(1, 3, 8, 8), 1)),
        Twin("blip2_opt", BLIP2, marked(pixels(1, 3, 8, 8), 3), own_positions=True, text_only=False),
    )
}
