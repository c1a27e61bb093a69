"""The families that hificl knows, and how a config finds its family."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from hificl.backbones.embedded import EMBEDDED
from hificl.backbones.family import Family, GenerationForm
from hificl.backbones.idefics import IDEFICS
from hificl.backbones.idefics2 import IDEFICS2
from hificl.backbones.instructions import CAPTION, LETTER_ENDS
from hificl.backbones.llava_interleave import LLAVA_INTERLEAVE
from hificl.backbones.paligemma import PALIGEMMA
from hificl.backbones.prompts import PromptForm
from hificl.backbones.qwen3_vl import QWEN3_VL
from hificl.backbones.smollm2 import SMOLLM2
from hificl.backbones.smolvlm import SMOLVLM

_FAMILIES = (EMBEDDED, IDEFICS, IDEFICS2, LLAVA_INTERLEAVE, PALIGEMMA, QWEN3_VL, SMOLLM2, SMOLVLM)

BACKBONES: Mapping[str, Family] = MappingProxyType({family.name: family for family in _FAMILIES})
"""Families by name. Any other model is served by its chat template, or by a plain form when it has none."""

_CHAT = PromptForm(name="default", chat=True, question="{question}", answer="{answer}")


def family_of(config: Mapping[str, Any], image_mark: str | None) -> Family:
    """The family whose ``match`` agrees with a config, else a generic one.

    Args:
        config: The content of ``config.json``.
        image_mark: The processor's mark of one image for the generic plain form; None for a text-only model.
    """
    for family in BACKBONES.values():
        if family.match and all(_agrees(_at(config, path), value) for path, value in family.match.items()):
            return family
    model_type = str(config.get("model_type", "model"))
    plain = PromptForm(name="default-plain", image=image_mark or "<image>")
    captions = replace(plain, kind="caption", question=f"{{images}}{CAPTION}\nCaption:")
    asked = "{images}Question: {question}\nChoices: {choices}\nAnswer:"
    choices = replace(plain, kind="choice", question=asked, stop_words=LETTER_ENDS)
    return Family(
        name=re.sub(r"[^a-z0-9]+", "-", model_type.lower()),
        description=f"any {model_type} model, through its chat template or a plain form",
        prompt=_CHAT,
        plain_prompt=plain,
        prompts={(plain.name, "caption"): captions, (plain.name, "choice"): choices},
        generation=GenerationForm(max_new_tokens=20, stop_words=("\n",)),
    )


def _agrees(found: Any, wanted: Any) -> bool:
    return found in wanted if isinstance(wanted, tuple) else found == wanted


def _at(config: Mapping[str, Any], path: str) -> Any:
    value: Any = config
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value
