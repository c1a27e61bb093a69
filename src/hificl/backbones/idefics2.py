"""Idefics2 8B: SigLIP, a perceiver to 64 tokens per image, and Mistral text."""

from __future__ import annotations

from dataclasses import replace

from hificl.backbones.family import Family, GenerationForm
from hificl.backbones.instructions import ANSWER, CAPTION, LETTER, LETTER_ENDS, PUBLISHED_CAPTION, WORD_ENDS, YES_OR_NO
from hificl.backbones.prompts import PromptForm

# Every message ends with this misspelt mark. It is no special token of the model: it is read, and learned, as text.
_END = "<end_of_outterance>"

# Cutting at the bare words also empties an answer that begins with one; so does the published code, which takes the
# mark off answers to questions, whole or cut short, and cuts captions at any "<".
_QUESTIONS = PromptForm(
    name="official",
    kind="vqa",
    head=f"Instruction: {ANSWER}{_END}\n",
    # Training prompts have no instruction, so the adapter meets it in evaluation only.
    head_in="evaluation",
    question=f"Image:{{images}}{_END}\nQuestion: {{question}}{_END}\nAnswer:",
    separator=f"{_END}\n",
    stop_words=("\n", "Question", "Answer", "Image", "Short", "<end_of_outter"),
)
_OFFICIAL = {
    "vqa": _QUESTIONS,
    "caption": replace(
        _QUESTIONS,
        kind="caption",
        # The instruction for captions is given to a model without adapter alone.
        head=f"Instruction: {PUBLISHED_CAPTION}{_END}\n",
        head_in="frozen",
        question=f"Image:{{images}}{_END}\nCaption:",
        stop_words=("\n", "Caption", "Image", "<", "Short"),
    ),
    "choice": replace(
        _QUESTIONS,
        kind="choice",
        head="",
        # No space after the last choice.
        question=f"Image:{{images}}{_END}\nQuestion: {{question}}{_END}\n"
        f"Choices: {{choices}}Answer with the letter.{_END}\nAnswer:",
        stop_words=("\n", "."),
    ),
    "yes_no": replace(_QUESTIONS, kind="yes_no", head=f"Instruction: {YES_OR_NO}{_END}\n", stop_words=("\n",)),
}

_CHAT = PromptForm(name="default", chat=True, head=f"{ANSWER}\n", question="{question}", answer="{answer}")
_PLAIN = PromptForm(
    name="default-plain",
    head=f"Instruction: {ANSWER}\n",
    question="Image:{images}\nQuestion: {question}\nAnswer:",
)
_PLAIN_KINDS = {
    "caption": replace(
        _PLAIN,
        kind="caption",
        head=f"Instruction: {CAPTION}\n",
        question="Image:{images}\nCaption:",
        stop_words=("\n", "Caption:", "Image:"),
    ),
    "choice": replace(
        _PLAIN,
        kind="choice",
        head=f"Instruction: {LETTER}\n",
        question="Image:{images}\nQuestion: {question}\nChoices: {choices}\nAnswer:",
        stop_words=LETTER_ENDS,
    ),
    "yes_no": replace(_PLAIN, kind="yes_no", head=f"Instruction: {YES_OR_NO}\n", stop_words=WORD_ENDS),
}

IDEFICS2 = Family(
    name="idefics2",
    description="Idefics2 8B: SigLIP, perceiver (64 tokens per image, no splitting), Mistral",
    prompt=_CHAT,
    plain_prompt=_PLAIN,
    prompts={(form.name, kind): form for forms in (_OFFICIAL, _PLAIN_KINDS) for kind, form in forms.items()},
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
