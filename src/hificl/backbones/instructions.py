"""Instructions by kind of task, and the default forms that follow from them where a model has a chat template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hificl.backbones.prompts import PromptForm

ANSWER = "Provide an answer to the question. Use the image to answer."
CAPTION = "Provide a short caption of the input image."
LETTER = "Answer the question with the letter of the right choice. Use the image to answer."
YES_OR_NO = 'Provide an answer in "Yes" or "No" to the question. Use the image to answer.'
TEXT = "Provide an answer to the question."

PUBLISHED_CAPTION = "provide a short caption of the input image."
"""The published code writes its instruction for captions in small letters."""

LETTER_ENDS = ("\n", ".")
"""Stop words where the answer is a letter: "B. four" is "B"."""

WORD_ENDS = ("\n", ".", ",")
"""Stop words where the answer is one word: "Yes, it is." is "Yes"."""

Forms = Mapping[tuple[str, str], PromptForm]
"""Prompt forms by name and kind of task."""


def chat_forms(question: PromptForm) -> Forms:
    """The default forms of a chat model for tasks other than questions; ``question`` is its form for those."""
    captions = replace(question, kind="caption", head="", question=CAPTION)
    choices = replace(
        question, kind="choice", head=f"{LETTER}\n", question="{question}\n{choices}", stop_words=LETTER_ENDS
    )
    yes_or_no = replace(question, kind="yes_no", head=f"{YES_OR_NO}\n", stop_words=WORD_ENDS)
    text = replace(question, kind="text", head=question.head.replace(ANSWER, TEXT))
    forms = {"caption": captions, "choice": choices, "yes_no": yes_or_no, "text": text}
    return {(form.name, kind): form for kind, form in forms.items()}
