"""IDEFICS 9B: LLaMA text with gated cross-attention to image latents; its processor takes texts and images in turn."""

from __future__ import annotations

from dataclasses import replace

from hificl.backbones.family import Family, GenerationForm
from hificl.backbones.instructions import ANSWER, CAPTION, LETTER, LETTER_ENDS, PUBLISHED_CAPTION, WORD_ENDS, YES_OR_NO
from hificl.backbones.prompts import PromptForm

# Cutting at the bare words also empties an answer that begins with one; so does the published code.
_QUESTIONS = PromptForm(
    name="official",
    kind="vqa",
    head=f"Instruction: {ANSWER}\n",
    # Training prompts have no instruction, so the adapter meets it in evaluation only.
    head_in="evaluation",
    question="Image:{images} Question: {question} Answer:",
    stop_words=("\n", "Question", "Answer", "Image", "Short"),
)
_OFFICIAL = {
    "vqa": _QUESTIONS,
    "caption": replace(
        _QUESTIONS,
        kind="caption",
        # The instruction for captions is given to a model without adapter alone.
        head=f"Instruction: {PUBLISHED_CAPTION}\n",
        head_in="frozen",
        question="Image:{images} Caption:",
        stop_words=("\n", "Caption", "Image", "<", "Short"),
    ),
    "choice": replace(
        _QUESTIONS,
        kind="choice",
        head="",
        question="Image:{images} Question: {question} Choices: {choices} Answer with the letter. Answer:",
        stop_words=("\n", "."),
    ),
    "yes_no": replace(_QUESTIONS, kind="yes_no", head=f"Instruction: {YES_OR_NO}\n", stop_words=("\n",)),
}

_DEFAULT = PromptForm(
    name="default",
    head=f"Instruction: {ANSWER}\n",
    question="Image:{images} Question: {question} Answer:",
)
_OTHER_KINDS = {
    "caption": replace(
        _DEFAULT,
        kind="caption",
        head=f"Instruction: {CAPTION}\n",
        question="Image:{images} Caption:",
        stop_words=("\n", "Caption:", "Image:"),
    ),
    "choice": replace(
        _DEFAULT,
        kind="choice",
        head=f"Instruction: {LETTER}\n",
        question="Image:{images} Question: {question} Choices: {choices} Answer:",
        stop_words=LETTER_ENDS,
    ),
    "yes_no": replace(_DEFAULT, kind="yes_no", head=f"Instruction: {YES_OR_NO}\n", stop_words=WORD_ENDS),
}

IDEFICS = Family(
    name="idefics",
    description="IDEFICS 9B: LLaMA with gated cross-attention to 64 latents per image",
    prompt=_DEFAULT,
    prompts={(form.name, kind): form for forms in (_OFFICIAL, _OTHER_KINDS) for kind, form in forms.items()},
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
