"""Families whose decoder looks at the image through layers of cross attention."""

from __future__ import annotations

import torch

from .image_families import IMAGE, VISION, composite
from .text_families import SIZES
from .twins import BEGIN, Sample, Twin, text_ids

TILES = 2


def _mllama_sample(generator: torch.Generator, length: int) -> Sample:
    ids = text_ids(generator, length)
    ids[:2] = torch.tensor([IMAGE, BEGIN])
    return Sample(
        {"input_ids": ids, "cross_attention_mask": torch.ones(length, 1, TILES, dtype=torch.long)},
        {
            "pixel_values": torch.randn(1, 1, TILES, 3, 8, 8, generator=generator),
            "aspect_ratio_ids": torch.tensor([[2]]),
            "aspect_ratio_mask": torch.ones(1, 1, TILES, dtype=torch.long),
        },
    )


def _idefics_sample(generator: torch.Generator, length: int) -> Sample:
    ids = text_ids(generator, length)
    ids[:2] = torch.tensor([BEGIN, IMAGE])
    return Sample(
        {"input_ids": ids, "image_attention_mask": torch.ones(length, 1, dtype=torch.long)},
        {"pixel_values": torch.randn(1, 1, 3, 8, 8, generator=generator)},
    )


MLLAMA = composite(
    "Mllama",
    image_token_index=IMAGE,
    vision_config={
        "hidden_size": 24,
        "intermediate_size": 28,
        "num_hidden_layers": 2,
        "num_global_layers": 1,
        "attention_heads": 2,
        "intermediate_layers_indices": [0],
        "vision_output_dim": 48,
        "image_size": 8,
        "patch_size": 4,
        "max_num_tiles": TILES,
        "supported_aspect_ratios": [[1, 1], [1, 2], [2, 1]],
    },
    text_config={
        **SIZES,
        "num_hidden_layers": 3,
        "cross_attention_layers": [1],
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    },
)
IDEFICS = composite(
    "Idefics",
    "ForVisionText2Text",
    **SIZES,
    additional_vocab_size=2,
    use_resampler=True,
    cross_layer_interval=2,
    qk_layer_norms=True,
    alpha_initializer="ones",
    vision_config={**VISION, "embed_dim": 24},
    perceiver_config={
        "use_resampler": True,
        "resampler_n_latents": 3,
        "resampler_depth": 1,
        "resampler_n_heads": 2,
        "resampler_head_dim": 8,
    },
)

CROSS_FAMILIES = {
    twin.name: twin
    for twin in (
        Twin("mllama", MLLAMA, _mllama_sample),
        Twin("idefics", IDEFICS, _idefics_sample, own_positions=True, text_only=False),
    )
}
