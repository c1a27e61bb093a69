"""PaliGemma: image and question are a prefix that sees itself both ways, so answers have a token type of their own."""

from __future__ import annotations

from hificl.backbones.family import Family, GenerationForm
from hificl.backbones.prompts import PromptForm

PALIGEMMA = Family(
    name="paligemma",
    description="PaliGemma: SigLIP and Gemma with a bidirectional prefix",
    prompt=PromptForm(name="default", question="{images}answer en {question}\n", answer="{answer}"),
    generation=GenerationForm(max_new_tokens=20, stop_words=("\n",)),
    match={"model_type": "paligemma"},
    hub_ids=("google/paligemma-3b-pt-224", "google/paligemma2-3b-pt-224"),
    processor_appends="\n",
    answer_token_type=1,
)
