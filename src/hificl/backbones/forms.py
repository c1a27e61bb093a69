"""The prompt form of a family by name and kind of task."""

from __future__ import annotations

from dataclasses import replace

from hificl.backbones.family import Family
from hificl.backbones.instructions import chat_forms
from hificl.backbones.prompts import PromptForm
from hificl.errors import InputError

KINDS = ("vqa", "caption", "choice", "yes_no", "label", "text")
"""Kinds of tasks, as ``Task.kind`` names them."""


def is_own_form(family: Family, form: PromptForm) -> bool:
    """Whether a form is one of its family now, under any name and for any kind of task, wherever its opening is."""
    form = replace(form, opening="written")
    chat = chat_forms(family.prompt) if family.prompt.chat else {}
    return form in (family.prompt, family.plain_prompt, *chat.values(), *family.prompts.values())


def find_form(family: Family, name: str, kind: str, *, has_template: bool) -> PromptForm:
    """Find a prompt form.

    Args:
        family: Whose forms.
        name: "default", or another name in ``family.prompts``, such as "official".
        kind: Kind of the task, one of ``KINDS``. A kind for which "default" has no form of its own takes that of
            questions.
        has_template: Whether the checkpoint has a chat template; without one "default" is the plain form.

    Raises:
        InputError: An unknown kind, or no such form for this kind.
    """
    if kind not in KINDS:
        raise InputError(f"unknown kind of task {kind!r}; known are {', '.join(KINDS)}.")
    default = family.prompt
    if default.chat and not has_template and family.plain_prompt is not None:
        default = family.plain_prompt
    forms = {**(chat_forms(default) if default.chat else {}), **family.prompts}
    wanted = default.name if name == "default" else name
    if (wanted, kind) in forms:
        return forms[wanted, kind]
    if wanted == default.name:
        return default
    kinds = [other for known, other in family.prompts if known == name]
    remedy = f"there it is for {', '.join(kinds)}" if kinds else "it has no form of that name"
    raise InputError(f"family {family.name!r}: no prompt form {name!r} for {kind}; {remedy}. Use 'default'.")
