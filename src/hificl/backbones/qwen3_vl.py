"""Qwen3-VL 8B: images of any size, visual features also added to early layers, M-RoPE, normed queries and keys."""

from __future__ import annotations

from dataclasses import replace

from hificl.backbones.family import Family, GenerationForm
from hificl.backbones.instructions import ANSWER, CAPTION, LETTER, LETTER_ENDS, WORD_ENDS, YES_OR_NO
from hificl.backbones.prompts import PromptForm
from hificl.backbones.turns import END, published_forms

_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"

# Every text is followed by a space.
_OFFICIAL = published_forms(
    question="{question} ", choices="{choices} Answer with the letter. ", answer="{answer} ", image=_IMAGE
)

_CHAT = PromptForm(name="default", chat=True, head=f"{ANSWER}\n", question="{question}", answer="{answer}")
_PLAIN = PromptForm(
    name="default-plain",
    question=f"<|im_start|>user\n{{images}}{{question}}{END}<|im_start|>assistant\n",
    answer="{answer}",
    separator=END,
    end="<|im_end|>",
    image=_IMAGE,
)
_PLAIN_KINDS = {
    "caption": replace(
        _PLAIN, kind="caption", question=f"<|im_start|>user\n{{images}}{CAPTION}{END}<|im_start|>assistant\n"
    ),
    "choice": replace(
        _PLAIN,
        kind="choice",
        question=f"<|im_start|>user\n{{images}}{LETTER}\n{{question}}\n{{choices}}{END}<|im_start|>assistant\n",
        stop_words=LETTER_ENDS,
    ),
    "yes_no": replace(
        _PLAIN,
        kind="yes_no",
        question=f"<|im_start|>user\n{{images}}{YES_OR_NO}\n{{question}}{END}<|im_start|>assistant\n",
        stop_words=WORD_ENDS,
    ),
}

QWEN3_VL = Family(
    name="qwen3-vl",
    description="Qwen3-VL 8B Instruct: images of any size, M-RoPE, DeepStack features",
    prompt=_CHAT,
    plain_prompt=_PLAIN,
    prompts={(form.name, kind): form for forms in (_OFFICIAL, _PLAIN_KINDS) for kind, form in forms.items()},
    generation=GenerationForm(max_new_tokens=20, stop_words=("\n",)),
    match={"model_type": "qwen3_vl"},
    hub_ids=("Qwen/Qwen3-VL-8B-Instruct", "Qwen/Qwen3-VL-4B-Instruct", "Qwen/Qwen3-VL-2B-Instruct"),
    geometry={
        "model_type": "qwen3_vl",
        "text_config": {
            "model_type": "qwen3_vl_text",
            "vocab_size": 151936,
            "hidden_size": 4096,
            "intermediate_size": 12288,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "max_position_embeddings": 262144,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 5000000.0,
                "mrope_section": [24, 20, 20],
                "mrope_interleaved": True,
            },
        },
        "vision_config": {
            "model_type": "qwen3_vl_vision",
            "depth": 27,
            "hidden_size": 1152,
            "intermediate_size": 4304,
            "num_heads": 16,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": 4096,
            "deepstack_visual_indexes": [8, 16, 24],
        },
    },
)
