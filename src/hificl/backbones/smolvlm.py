"""SmolVLM: SigLIP, pixel shuffle to 64 tokens per tile of 512 pixels, SmolLM2 text; Idefics3 has the same classes."""

from __future__ import annotations

from hificl.backbones.family import Family, GenerationForm
from hificl.backbones.instructions import ANSWER
from hificl.backbones.prompts import PromptForm

SMOLVLM = Family(
    name="smolvlm",
    description="SmolVLM 256M: SigLIP (64 tokens per image, no splitting), SmolLM2; also larger ones and Idefics3",
    prompt=PromptForm(name="default", chat=True, head=f"{ANSWER}\n", question="{question}", answer="{answer}"),
    plain_prompt=PromptForm(
        name="default-plain",
        head=f"Instruction: {ANSWER}\n",
        question="Image:{images}\nQuestion: {question}\nAnswer:",
    ),
    generation=GenerationForm(max_new_tokens=20, stop_words=("\n", "Question:", "Answer:", "Image:")),
    match={"model_type": ("idefics3", "smolvlm")},
    hub_ids=(
        "HuggingFaceTB/SmolVLM-256M-Instruct",
        "HuggingFaceTB/SmolVLM-500M-Instruct",
        "HuggingFaceTB/SmolVLM-Instruct",
        "HuggingFaceTB/SmolVLM2-256M-Video-Instruct",
        "HuggingFaceTB/SmolVLM2-500M-Video-Instruct",
        "HuggingFaceTB/SmolVLM2-2.2B-Instruct",
        "HuggingFaceM4/Idefics3-8B-Llama3",
    ),
    image_settings={"do_image_splitting": False},
    geometry={
        "model_type": "idefics3",
        "image_token_id": 49190,
        "scale_factor": 4,
        "tie_word_embeddings": False,
        "text_config": {
            "model_type": "llama",
            "vocab_size": 49280,
            "hidden_size": 576,
            "intermediate_size": 1536,
            "num_hidden_layers": 30,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
            "head_dim": 64,
            "max_position_embeddings": 8192,
            "pad_token_id": 2,
            "tie_word_embeddings": False,
        },
        "vision_config": {
            "hidden_size": 768,
            "image_size": 512,
            "intermediate_size": 3072,
            "num_attention_heads": 12,
            "num_hidden_layers": 12,
            "patch_size": 16,
        },
    },
)
