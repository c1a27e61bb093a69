"""LLaVA-Interleave Qwen 7B: SigLIP at 384 pixels, 729 tokens per image, Qwen1.5 text without grouped heads."""

from __future__ import annotations

from hificl.backbones.family import Family, GenerationForm
from hificl.backbones.prompts import PromptForm

_INSTRUCTION = "Provide an answer to the question. Use the image to answer."

LLAVA_INTERLEAVE = Family(
    name="llava-interleave",
    description="LLaVA-Interleave Qwen 7B: SigLIP (729 tokens per image), Qwen1.5",
    prompt=PromptForm(name="default", chat=True, head=f"{_INSTRUCTION}\n", question="{question}", answer="{answer}"),
    plain_prompt=PromptForm(
        name="default-plain",
        head=f"<|im_start|>instruction\n{_INSTRUCTION}<|im_end|>\n",
        question="<|im_start|>image\n{images}<|im_end|>\n<|im_start|>question\n{question}<|im_end|>\n<|im_start|>answer\n",
        answer="{answer}",
        separator="<|im_end|>\n",
        end="<|im_end|>",
    ),
    generation=GenerationForm(max_new_tokens=20, stop_words=("\n",)),
    match={"model_type": "llava", "text_config.model_type": "qwen2", "vision_config.image_size": 384},
    hub_ids=("llava-hf/llava-interleave-qwen-7b-hf", "llava-hf/llava-interleave-qwen-7b-dpo-hf"),
    geometry={
        "model_type": "llava",
        "image_token_index": 151646,
        "image_seq_length": 729,
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
        "text_config": {
            "model_type": "qwen2",
            "vocab_size": 152000,
            "hidden_size": 4096,
            "intermediate_size": 11008,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 32,
            "max_position_embeddings": 32768,
        },
        "vision_config": {
            "model_type": "siglip_vision_model",
            "hidden_size": 1152,
            "image_size": 384,
            "intermediate_size": 4304,
            "num_attention_heads": 16,
            "num_hidden_layers": 26,
            "patch_size": 14,
            "vision_use_head": False,
        },
    },
)
