"""PaliGemma: image and question are a prefix that sees itself both ways, so answers have a token type of their own."""

from __future__ import annotations

from dataclasses import replace

from hificl.backbones.family import Family, GenerationForm
from hificl.backbones.instructions import LETTER_ENDS
from hificl.backbones.prompts import PromptForm

_DEFAULT = PromptForm(name="default", question="{images}answer en {question}\n", answer="{answer}")

PALIGEMMA = Family(
    name="paligemma",
    description="PaliGemma: SigLIP and Gemma with a bidirectional prefix",
    prompt=_DEFAULT,
    prompts={
        ("default", "caption"): replace(_DEFAULT, kind="caption", question="{images}caption en\n"),
        ("default", "choice"): replace(
            _DEFAULT, kind="choice", question="{images}answer en {question} {choices}\n", stop_words=LETTER_ENDS
        ),
    },
    generation=GenerationForm(max_new_tokens=20, stop_words=("\n",)),
    match={"model_type": "paligemma"},
    hub_ids=("google/paligemma-3b-pt-224", "google/paligemma2-3b-pt-224"),
    processor_appends="\n",
    answer_token_type=1,
)
