"""The official forms against what the published code renders, byte for byte."""

from __future__ import annotations

import pytest

from hificl.backbones import BACKBONES, PromptForm
from hificl.backbones.forms import find_form
from hificl.backbones.prompts import Round, render

ASKED = "Provide an answer to the question. Use the image to answer."
YES_NO = 'Provide an answer in "Yes" or "No" to the question. Use the image to answer.'
CAPTION = "provide a short caption of the input image."
MARK = "<end_of_outterance>\n"
START, END = "<|im_start|>", "<|im_end|>\n"
LOST = f"{START}instruction\n{END}"
SEEN = f"{START}image\n<image>{END}"
PAD = f"{START}image\n<|vision_start|><|image_pad|><|vision_end|>{END}"

CHOICES = ("1", "2", "3 {x}", "4")
LISTED = "A. 1 B. 2 C. 3 {x} D. 4"

# Per family and kind: instruction of evaluation; a demonstration; the query in training; what evaluation adds to it.
PUBLISHED = {
    ("idefics", "vqa"): (
        f"Instruction: {ASKED}\n",
        "Image:<image> Question: is it red? Answer: yes\n",
        "Image:<image> Question: how many? Answer:",
        "",
    ),
    ("idefics", "caption"): (
        f"Instruction: {CAPTION}\n",
        "Image:<image> Caption: a cat .\n",
        "Image:<image> Caption:",
        "",
    ),
    ("idefics", "choice"): (
        "",
        f"Image:<image> Question: is it red? Choices: {LISTED} Answer with the letter. Answer: B\n",
        f"Image:<image> Question: how many? Choices: {LISTED} Answer with the letter. Answer:",
        "",
    ),
    ("idefics", "yes_no"): (
        f"Instruction: {YES_NO}\n",
        "Image:<image> Question: is it red? Answer: yes\n",
        "Image:<image> Question: how many? Answer:",
        "",
    ),
    ("idefics2", "vqa"): (
        f"Instruction: {ASKED}{MARK}",
        f"Image:<image>{MARK}Question: is it red?{MARK}Answer: yes{MARK}",
        f"Image:<image>{MARK}Question: how many?{MARK}Answer:",
        "",
    ),
    ("idefics2", "caption"): (
        f"Instruction: {CAPTION}{MARK}",
        f"Image:<image>{MARK}Caption: a cat .{MARK}",
        f"Image:<image>{MARK}Caption:",
        "",
    ),
    ("idefics2", "choice"): (
        "",
        f"Image:<image>{MARK}Question: is it red?{MARK}Choices: {LISTED}Answer with the letter.{MARK}Answer: B{MARK}",
        f"Image:<image>{MARK}Question: how many?{MARK}Choices: {LISTED}Answer with the letter.{MARK}Answer:",
        "",
    ),
    ("idefics2", "yes_no"): (
        f"Instruction: {YES_NO}{MARK}",
        f"Image:<image>{MARK}Question: is it red?{MARK}Answer: yes{MARK}",
        f"Image:<image>{MARK}Question: how many?{MARK}Answer:",
        "",
    ),
    ("llava-interleave", "vqa"): (
        LOST,
        f"{SEEN}{START}question\n\nis it red?{END}{START}answer\n\nyes{END}",
        f"{SEEN}{START}question\n\nhow many?{END}{START}answer\n{END}",
        f"{START}assistant\n",
    ),
    ("llava-interleave", "caption"): (
        LOST,
        f"{SEEN}{START}caption\n\na cat .{END}",
        f"{SEEN}{START}caption\n{END}",
        f"{START}assistant\n",
    ),
    ("llava-interleave", "choice"): (
        "",
        f"{SEEN}{START}question\n\nis it red?{END}"
        f"{START}choices\n\n{LISTED}\nAnswer with the letter.{END}{START}answer\n\nB{END}",
        f"{SEEN}{START}question\n\nhow many?{END}"
        f"{START}choices\n\n{LISTED}\nAnswer with the letter.{END}{START}answer\n{END}",
        f"{START}assistant\n",
    ),
    ("qwen3-vl", "vqa"): (
        LOST,
        f"{PAD}{START}question\nis it red? {END}{START}answer\nyes {END}",
        f"{PAD}{START}question\nhow many? {END}{START}answer\n{END}",
        f"{START}assistant\n",
    ),
    ("qwen3-vl", "caption"): (
        LOST,
        f"{PAD}{START}caption\na cat . {END}",
        f"{PAD}{START}caption\n{END}",
        f"{START}assistant\n",
    ),
    ("qwen3-vl", "choice"): (
        "",
        f"{PAD}{START}question\nis it red? {END}"
        f"{START}choices\n{LISTED} Answer with the letter. {END}{START}answer\nB {END}",
        f"{PAD}{START}question\nhow many? {END}"
        f"{START}choices\n{LISTED} Answer with the letter. {END}{START}answer\n{END}",
        f"{START}assistant\n",
    ),
}


def form_and_rounds(family: str, kind: str) -> tuple[PromptForm, list[Round]]:
    form = find_form(BACKBONES[family], "official", kind, has_template=True)
    answer = {"caption": "a cat .", "choice": "B"}.get(kind, "yes")
    choices = CHOICES if kind == "choice" else ()
    questions = ("", "") if kind == "caption" else ("is it red?", "how many?")
    return form, [Round(1, questions[0], answer, choices), Round(1, questions[1], None, choices)]


@pytest.mark.parametrize("family, kind", PUBLISHED)
def test_evaluation_with_and_without_demonstrations(family: str, kind: str) -> None:
    head, demonstration, query, cue = PUBLISHED[family, kind]
    form, rounds = form_and_rounds(family, kind)
    assert render(form, rounds) == head + demonstration + query + cue
    assert render(form, rounds[1:]) == head + query + cue


@pytest.mark.parametrize("family, kind", PUBLISHED)
def test_training_has_neither_instruction_nor_the_turn_that_evaluation_opens(family: str, kind: str) -> None:
    form, rounds = form_and_rounds(family, kind)
    assert render(form, rounds[1:], teaching=True) == PUBLISHED[family, kind][2]


@pytest.mark.parametrize("family", ["idefics", "idefics2", "llava-interleave", "qwen3-vl"])
def test_the_instruction_for_captions_is_for_models_without_adapter(family: str) -> None:
    assert form_and_rounds(family, "caption")[0].head_in == "frozen"
    assert form_and_rounds(family, "vqa")[0].head_in == "evaluation"
