"""Prompt forms by name and kind of task."""

from __future__ import annotations

import typing

import pytest

from hificl.backbones import BACKBONES, Backbone
from hificl.backbones.forms import KINDS, find_form, is_own_form
from hificl.backbones.instructions import ANSWER, CAPTION, LETTER, TEXT
from hificl.backbones.registry import family_of
from hificl.errors import InputError
from hificl.tasks import task


def test_the_kinds_are_those_of_tasks() -> None:
    assert typing.get_args(task.Kind) == KINDS


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("has_template", [True, False])
def test_default_for_questions_is_the_form_that_a_backbone_is_loaded_with(name: str, has_template: bool) -> None:
    family = BACKBONES[name]
    plain = family.prompt.chat and not has_template
    assert find_form(family, "default", "vqa", has_template=has_template) is (
        family.plain_prompt if plain else family.prompt
    )


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("has_template", [True, False])
def test_every_family_has_a_default_for_every_kind_and_knows_it_again(name: str, kind: str, has_template: bool) -> None:
    form = find_form(BACKBONES[name], "default", kind, has_template=has_template)
    assert form.head_in == "all"
    assert (form.close, form.cue, form.taught_answer) == ("", "", "")
    assert is_own_form(BACKBONES[name], form)


def test_chat_models_get_the_instruction_of_the_kind() -> None:
    family = BACKBONES["idefics2"]
    forms = {kind: find_form(family, "default", kind, has_template=True) for kind in KINDS}
    assert forms["vqa"].head == f"{ANSWER}\n"
    assert forms["caption"].head + forms["caption"].question == CAPTION
    assert forms["choice"].head + forms["choice"].question == f"{LETTER}\n{{question}}\n{{choices}}"
    assert forms["text"].head == f"{TEXT}\n"
    assert forms["label"] == forms["vqa"]


def test_a_model_of_no_known_family_is_served_too() -> None:
    family = family_of({"model_type": "other"}, "<img>")
    assert find_form(family, "default", "caption", has_template=True).question == CAPTION
    plain = find_form(family, "default", "caption", has_template=False)
    assert (plain.image, CAPTION in plain.question) == ("<img>", True)


@pytest.mark.parametrize(
    "name, form, kind, said",
    [
        ("embedded", "official", "vqa", "family 'embedded': no prompt form 'official' for vqa; it has no form"),
        ("idefics", "official", "text", "there it is for vqa, caption, choice, yes_no. Use 'default'"),
        ("idefics", "default", "sound", "unknown kind of task 'sound'; known are vqa"),
    ],
)
def test_what_there_is_not(name: str, form: str, kind: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        find_form(BACKBONES[name], form, kind, has_template=True)


def test_a_backbone_changes_its_form_and_its_stop_words(backbone: Backbone) -> None:
    assert backbone.with_prompt() == backbone
    assert backbone.stop_words == ("\n",)
    choice = backbone.with_prompt("default", "choice")
    assert choice.prompt.kind == "choice"
    assert choice.stop_words == ("\n", ".")
    assert choice.model is backbone.model


def test_a_foreign_form_is_not_known(backbone: Backbone) -> None:
    assert not is_own_form(backbone.family, BACKBONES["idefics"].prompt)
