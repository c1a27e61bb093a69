"""Idefics2 8B: SigLIP, a perceiver to 64 tokens per image, and Mistral text."""

from __future__ import annotations

from hificl.backbones.family import Family, GenerationForm
from hificl.backbones.prompts import PromptForm

_INSTRUCTION = "Provide an answer to the question. Use the image to answer."

IDEFICS2 = Family(
    name="idefics2",
    description="Idefics2 8B: SigLIP, perceiver (64 tokens per image, no splitting), Mistral",
    prompt=PromptForm(name="default", chat=True, head=f"{_INSTRUCTION}\n", question="{question}", answer="{answer}"),
    plain_prompt=PromptForm(
        name="default-plain",
        head=f"Instruction: {_INSTRUCTION}\n",
        question="Image:{images}\nQuestion: {question}\nAnswer:",
    ),
    generation=GenerationForm(max_new_tokens=20, stop_words=("\n", "Question:", "Answer:", "Image:")),
    match={"model_type": "idefics2"},
    hub_ids=(
        "HuggingFaceM4/idefics2-8b-base",
        "HuggingFaceM4/idefics2-8b",
        "HuggingFaceM4/idefics2-8b-chatty",
    ),
    image_settings={"do_image_splitting": False},
    geometry={
        "model_type": "idefics2",
        "image_token_id": 32001,
        "text_config": {
            "model_type": "mistral",
            "vocab_size": 32003,
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "max_position_embeddings": 32768,
            "rms_norm_eps": 1e-5,
            "sliding_window": 4096,
            "pad_token_id": 0,
        },
        "vision_config": {
            "hidden_size": 1152,
            "image_size": 980,
            "intermediate_size": 4304,
            "num_attention_heads": 16,
            "num_hidden_layers": 27,
            "patch_size": 14,
        },
        "perceiver_config": {
            "hidden_size": 4096,
            "rms_norm_eps": 1e-5,
            "resampler_n_latents": 64,
            "resampler_depth": 3,
            "resampler_n_heads": 16,
            "resampler_head_dim": 96,
            "num_key_value_heads": 4,
        },
    },
)
