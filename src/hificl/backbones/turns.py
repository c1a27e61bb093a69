"""The published prompts in turns of ``<|im_start|>role``, which two families share but for white space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hificl.backbones.prompts import PromptForm

END = "<|im_end|>\n"
IMAGE_TURN = f"<|im_start|>image\n{{images}}{END}"


def published_forms(*, question: str, choices: str, answer: str, image: str = "<image>") -> Mapping[str, PromptForm]:
    """Return the forms ``official`` by kind of task, the quirks of the published code included.

    Args:
        question: What stands in a turn of the question, with ``{question}``.
        choices: What stands in a turn of the choices, with ``{choices}``.
        answer: How an answer joins its turn, with ``{answer}``.
        image: The mark of one image.
    """
    asked = IMAGE_TURN + f"<|im_start|>question\n{question}{END}"
    questions = PromptForm(
        name="official",
        kind="vqa",
        # The text of the instruction is lost: the template looks for parts of a content that is one text.
        head=f"<|im_start|>instruction\n{END}",
        # Training prompts have no instruction, not even an empty one.
        head_in="evaluation",
        question=f"{asked}<|im_start|>answer\n",
        answer=answer,
        separator=END,
        # The query has an empty answer of its own; evaluation then opens a turn that training never opens.
        close=END,
        cue="<|im_start|>assistant\n",
        taught_answer="{answer}",
        image=image,
        # The published code joins lines with spaces before it cuts, so none of its stop words is a newline.
        stop_words=("Question", "Answer", "Image", "IMAGE:", "Short"),
    )
    return {
        "vqa": questions,
        "caption": replace(
            questions,
            kind="caption",
            head_in="frozen",
            question=IMAGE_TURN + "<|im_start|>caption\n",
            stop_words=("Caption", "Image", "IMAGE:", "<", "Short"),
        ),
        "choice": replace(
            questions,
            kind="choice",
            head="",
            question=f"{asked}<|im_start|>choices\n{choices}{END}<|im_start|>answer\n",
            stop_words=(".",),
        ),
        "yes_no": replace(questions, kind="yes_no", stop_words=()),
    }
