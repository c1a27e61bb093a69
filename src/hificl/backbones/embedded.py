"""The small LLaVA that ships with the package: SigLIP at 64 pixels (16 tokens per image) and Qwen2 text."""

from __future__ import annotations

from dataclasses import replace

from hificl.backbones.family import Family, GenerationForm
from hificl.backbones.instructions import LETTER_ENDS
from hificl.backbones.prompts import PromptForm

_SHARED = {"batch_size": 16, "micro_batch_size": 16, "epochs": 16.0}
# In-context learning is as good with four demonstrations as with eight here, and the teacher twice as fast.
_TAUGHT = {**_SHARED, "teacher_shots": 4}

# Chosen on a held-out fifth of the 300 easy-VQA training questions, four learning rates for each method
# (python -m pretrain.choose_defaults; pretrain/records/training_defaults.json). A test compares the two.
TRAINING_DEFAULTS = {
    "hificl": {**_SHARED, "learning_rate": 2e-2},
    "lora": {**_SHARED, "learning_rate": 5e-4},
    # The same number of steps for the others; their own numbers come from the search of `hificl compare`.
    **dict.fromkeys(("prefix_tuning", "i2cl"), _SHARED),
    **dict.fromkeys(("live", "mimic", "m2iv"), _TAUGHT),
}

_DEFAULT = PromptForm(
    name="default", start="<s>", question="{images} {question} A:", answer=" {answer}", separator="\n", end="\n"
)

EMBEDDED = Family(
    name="embedded",
    description="the small model inside the package: SigLIP (16 tokens per image), Qwen2",
    prompt=_DEFAULT,
    # No instruction: the model has seen none.
    prompts={
        ("default", "choice"): replace(
            _DEFAULT, kind="choice", question="{images} {question} {choices} A:", stop_words=LETTER_ENDS
        ),
    },
    generation=GenerationForm(max_new_tokens=12, stop_words=("\n",)),
    match={"model_type": "llava", "text_config.model_type": "qwen2", "vision_config.image_size": 64},
    training_defaults=TRAINING_DEFAULTS,
)
