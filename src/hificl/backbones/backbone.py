"""A loaded backbone: the frozen model with everything that decides how it sees and says things."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from transformers import PreTrainedModel

from hificl.backbones.family import Family
from hificl.backbones.forms import find_form
from hificl.backbones.prompts import PromptForm, chat_seam
from hificl.backbones.tokens import continuation
from hificl.errors import InputError


@dataclass(frozen=True)
class Backbone:
    """A frozen model with its processor, family and prompt form.

    Use ``dataclasses.replace(backbone, prompt=..., model=...)`` to change a part, for example to evaluate a PEFT model.
    """

    model: PreTrainedModel
    """The model, in eval mode, no parameter requires a gradient."""

    processor: Any
    """The processor of an image-text model, or the tokenizer of a text model."""

    family: Family
    """Data about the family: image settings, stop words, training defaults."""

    name: str
    """The name, hub id or folder that was loaded."""

    revision: str
    """Commit of the hub, or ``content:`` and a hash of the folder's files (``content_revision``)."""

    prompt: PromptForm
    """The prompt form in use."""

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, also when ``processor`` is a processor of images and text."""
        return getattr(self.processor, "tokenizer", self.processor)

    @property
    def takes_images(self) -> bool:
        """Whether the model reads images."""
        return hasattr(self.processor, "image_processor")

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.model.parameters()).device

    @property
    def text_config(self) -> Any:
        """Config of the text decoder (the whole config for text-only models and classic IDEFICS)."""
        return self.model.config.get_text_config(decoder=True)

    @property
    def context_limit(self) -> int:
        """Most tokens in one sequence, prompt and answer together."""
        limits = [getattr(self.text_config, "max_position_embeddings", None), self.tokenizer.model_max_length]
        # Tokenizers without a limit carry a huge number.
        sane = [int(limit) for limit in limits if limit is not None and 0 < limit < 10**8]
        return min(sane, default=10**8)

    @property
    def pad_id(self) -> int:
        """Token id in padded places; they are masked, so any id serves when the tokenizer names none."""
        tokenizer = self.tokenizer
        chosen = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        return int(chosen) if chosen is not None else 0

    @cached_property
    def end_ids(self) -> tuple[int, ...]:
        """Token ids of the end marker, appended to every answer in training and stopping generation.

        The ``end`` text of the prompt form; else the special token that the chat template writes after an answer;
        else the end-of-text token of the tokenizer.

        Raises:
            InputError: none of the three exists.
        """
        tokenizer = self.tokenizer
        if self.prompt.end:
            return tuple(continuation(tokenizer, "a", self.prompt.end))
        written = continuation(tokenizer, "a", self._seam[1])
        # Special in the template's eyes, whether or not the tokenizer lists it among its special tokens.
        if written and written[0] in {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}:
            return (written[0],)
        if tokenizer.eos_token_id is None:
            raise InputError(
                f"{self.name}: the tokenizer has no end-of-text token and prompt form {self.prompt.name!r} "
                "names no end marker; give the form an `end` text."
            )
        return (int(tokenizer.eos_token_id),)

    @cached_property
    def _seam(self) -> tuple[str, str]:
        chat = self.chat()
        return chat_seam(self.prompt, chat) if self.prompt.chat and chat is not None else ("", "")

    @property
    def stop_words(self) -> tuple[str, ...]:
        """A generated answer is cut at the first of these: those of the prompt form, else those of the family."""
        own = self.prompt.stop_words
        return self.family.generation.stop_words if own is None else own

    def with_prompt(self, form: str = "default", kind: str = "vqa") -> Backbone:
        """The same backbone with another prompt form of its family.

        Args:
            form: ``"default"``, or ``"official"``: what the published code of the paper renders.
            kind: Kind of the task, such as ``Task.kind``: "vqa", "caption", "choice", "yes_no", "label" or "text".

        Raises:
            InputError: The family has no such form for this kind; the message lists those that it has.
        """
        template = getattr(self.processor, "chat_template", None)
        found = find_form(self.family, form, kind, has_template=bool(template))
        return replace(self, prompt=replace(found, opening=self.prompt.opening))

    def answer_text(self, answer: str) -> str:
        """What training appends to a prompt: the answer with the space that the form or the chat template wants."""
        return self._seam[0] + (self.prompt.taught_answer or self.prompt.answer).replace("{answer}", answer)

    def chat(self) -> Callable[[list[dict[str, Any]], bool], str] | None:
        """The chat template as a function of messages and ``add_generation_prompt``, None without one."""
        if not getattr(self.processor, "chat_template", None):
            return None

        def apply(messages: list[dict[str, Any]], add_generation_prompt: bool) -> str:
            given = messages if self.takes_images else [_text_only(message) for message in messages]
            text = self.processor.apply_chat_template(
                given, tokenize=False, add_generation_prompt=add_generation_prompt
            )
            return str(text)

        return apply


def _text_only(message: dict[str, Any]) -> dict[str, Any]:
    """Text models take the content as one string."""
    return {**message, "content": "".join(part["text"] for part in message["content"] if part["type"] == "text")}
