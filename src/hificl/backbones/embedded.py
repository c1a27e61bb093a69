"""The small LLaVA that ships with the package: SigLIP at 64 pixels (16 tokens per image) and Qwen2 text."""

from __future__ import annotations

from hificl.backbones.family import Family, GenerationForm
from hificl.backbones.prompts import PromptForm

_SHARED = {"batch_size": 16, "micro_batch_size": 16, "epochs": 16.0}

# Chosen on a held-out fifth of the 300 easy-VQA training questions, four learning rates for each method
# (python -m pretrain.choose_defaults; pretrain/records/training_defaults.json). A test compares the two.
TRAINING_DEFAULTS = {"hificl": {**_SHARED, "learning_rate": 5e-3}, "lora": {**_SHARED, "learning_rate": 3e-3}}

EMBEDDED = Family(
    name="embedded",
    description="the small model inside the package: SigLIP (16 tokens per image), Qwen2",
    prompt=PromptForm(
        name="default", start="<s>", question="{images} {question} A:", answer=" {answer}", separator="\n", end="\n"
    ),
    generation=GenerationForm(max_new_tokens=12, stop_words=("\n",)),
    match={"model_type": "llava", "text_config.model_type": "qwen2", "vision_config.image_size": 64},
    training_defaults=TRAINING_DEFAULTS,
)
