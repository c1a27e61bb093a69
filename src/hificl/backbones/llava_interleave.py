"""LLaVA-Interleave Qwen 7B: SigLIP at 384 pixels, 729 tokens per image, Qwen1.5 text without grouped heads."""

from __future__ import annotations

from dataclasses import replace

from hificl.backbones.family import Family, GenerationForm
from hificl.backbones.instructions import ANSWER, CAPTION, LETTER, LETTER_ENDS, WORD_ENDS, YES_OR_NO
from hificl.backbones.prompts import PromptForm
from hificl.backbones.turns import END, IMAGE_TURN, published_forms

_OFFICIAL = published_forms(
    question="\n{question}", choices="\n{choices}\nAnswer with the letter.", answer="\n{answer}"
)

_CHAT = PromptForm(name="default", chat=True, head=f"{ANSWER}\n", question="{question}", answer="{answer}")
_PLAIN = PromptForm(
    name="default-plain",
    head=f"<|im_start|>instruction\n{ANSWER}{END}",
    question=IMAGE_TURN + f"<|im_start|>question\n{{question}}{END}<|im_start|>answer\n",
    answer="{answer}",
    separator=END,
    end="<|im_end|>",
)
_PLAIN_KINDS = {
    "caption": replace(
        _PLAIN,
        kind="caption",
        head=f"<|im_start|>instruction\n{CAPTION}{END}",
        question=IMAGE_TURN + "<|im_start|>caption\n",
    ),
    "choice": replace(
        _PLAIN,
        kind="choice",
        head=f"<|im_start|>instruction\n{LETTER}{END}",
        question=IMAGE_TURN
        + f"<|im_start|>question\n{{question}}{END}<|im_start|>choices\n{{choices}}{END}<|im_start|>answer\n",
        stop_words=LETTER_ENDS,
    ),
    "yes_no": replace(_PLAIN, kind="yes_no", head=f"<|im_start|>instruction\n{YES_OR_NO}{END}", stop_words=WORD_ENDS),
}

LLAVA_INTERLEAVE = Family(
    name="llava-interleave",
    description="LLaVA-Interleave Qwen 7B: SigLIP (729 tokens per image), Qwen1.5",
    prompt=_CHAT,
    plain_prompt=_PLAIN,
    prompts={(form.name, kind): form for forms in (_OFFICIAL, _PLAIN_KINDS) for kind, form in forms.items()},
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
