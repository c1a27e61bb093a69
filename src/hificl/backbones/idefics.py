"""IDEFICS 9B: LLaMA text with gated cross-attention to image latents; its processor takes texts and images in turn."""

from __future__ import annotations

from hificl.backbones.family import Family, GenerationForm
from hificl.backbones.prompts import PromptForm

IDEFICS = Family(
    name="idefics",
    description="IDEFICS 9B: LLaMA with gated cross-attention to 64 latents per image",
    prompt=PromptForm(
        name="default",
        head="Instruction: Provide an answer to the question. Use the image to answer.\n",
        question="Image:{images} Question: {question} Answer:",
    ),
    generation=GenerationForm(max_new_tokens=20, stop_words=("\n", "Question:", "Answer:", "Image:")),
    match={"model_type": "idefics"},
    hub_ids=("HuggingFaceM4/idefics-9b", "HuggingFaceM4/idefics-9b-instruct"),
    interleaved=True,
    geometry={
        "model_type": "idefics",
        "vocab_size": 32000,
        "additional_vocab_size": 2,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "max_position_embeddings": 2048,
        "cross_layer_interval": 4,
        "use_resampler": True,
        "vision_config": {
            "embed_dim": 1280,
            "image_size": 224,
            "intermediate_size": 5120,
            "num_attention_heads": 16,
            "num_hidden_layers": 32,
            "patch_size": 14,
        },
        "perceiver_config": {
            "use_resampler": True,
            "resampler_n_latents": 64,
            "resampler_depth": 6,
            "resampler_n_heads": 16,
            "resampler_head_dim": 96,
            "qk_layer_norms_perceiver": True,
        },
    },
)
