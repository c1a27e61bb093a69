"""Families with packed image patches and three-axis rotary positions (M-RoPE), which they compute from the mask."""

from __future__ import annotations

import torch

from .image_families import IMAGE, composite, text
from .twins import BEGIN, Sample, Twin, text_ids

IMAGE_START, VIDEO, IMAGE_END = 102, 103, 104
GRID = (1, 2, 4)
PATCH = 4
ROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 2, 2]}
VISION = {"depth": 2, "num_heads": 2, "patch_size": PATCH, "temporal_patch_size": 2, "spatial_merge_size": 2}
MARKS = {"image_token_id": IMAGE, "video_token_id": VIDEO}


def _sample(generator: torch.Generator, length: int) -> Sample:
    """Return a prompt with one image of 1 x 2 x 4 patches, which the connector merges to two features."""
    ids = text_ids(generator, length)
    ids[0] = BEGIN
    image = torch.tensor([IMAGE_START, IMAGE, IMAGE, IMAGE_END])
    ids = torch.cat([ids[:3], image, ids[3:]])
    grid = torch.tensor([GRID])
    patches = torch.randn(int(grid.prod()), 3 * 2 * PATCH * PATCH, generator=generator)
    return Sample(
        {"input_ids": ids, "mm_token_type_ids": (ids == IMAGE).int()},
        {"pixel_values": patches, "image_grid_thw": grid},
    )


QWEN2_VL = composite(
    "Qwen2VL",
    **MARKS,
    vision_start_token_id=IMAGE_START,
    vision_end_token_id=IMAGE_END,
    vision_config={**VISION, "embed_dim": 24, "hidden_size": 60, "mlp_ratio": 2},
    text_config=text("qwen2_vl_text", rope_parameters=ROPE),
)
QWEN2_5_VL = composite(
    "Qwen2_5_VL",
    **MARKS,
    vision_start_token_id=IMAGE_START,
    vision_end_token_id=IMAGE_END,
    vision_config={
        **VISION,
        "hidden_size": 24,
        "out_hidden_size": 60,
        "intermediate_size": 28,
        "window_size": 16,
        "fullatt_block_indexes": [1],
    },
    text_config=text("qwen2_5_vl_text", rope_parameters=ROPE),
)
QWEN3_VL = composite(
    "Qwen3VL",
    **MARKS,
    vision_start_token_id=IMAGE_START,
    vision_end_token_id=IMAGE_END,
    vision_config={
        **VISION,
        "hidden_size": 24,
        "out_hidden_size": 60,
        "intermediate_size": 28,
        "num_position_embeddings": 16,
        "deepstack_visual_indexes": [0],
    },
    text_config=text("qwen3_vl_text", head_dim=12, rope_parameters={**ROPE, "mrope_section": [2, 2, 2]}),
)
GLM4V = composite(
    "Glm4v",
    **MARKS,
    image_start_token_id=IMAGE_START,
    image_end_token_id=IMAGE_END,
    vision_config={**VISION, "hidden_size": 24, "out_hidden_size": 60, "intermediate_size": 28, "image_size": 16},
    text_config=text("glm4v_text", rope_parameters={**ROPE, "partial_rotary_factor": 1.0}),
)

GRID_FAMILIES = {
    twin.name: twin
    for twin in (
        Twin("qwen2_vl", QWEN2_VL, _sample, own_positions=True),
        Twin("qwen2_5_vl", QWEN2_5_VL, _sample, own_positions=True),
        Twin("qwen3_vl", QWEN3_VL, _sample, own_positions=True),
        Twin("glm4v", GLM4V, _sample, own_positions=True),
    )
}
