"""A backbone, with or without an adapter, as a model of lmms-eval: any of its image and text tasks can score it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from lmms_eval.api.instance import GenerationResult
from lmms_eval.api.model import lmms
from PIL import Image

from hificl.backbones import Backbone, load_backbone
from hificl.data import Example
from hificl.errors import InputError
from hificl.evaluation import Decoding, generate_answers
from hificl.evaluation.adapter import prompted_for
from hificl.evaluation.likelihood import answer_loss
from hificl.run import Run, load

logger = logging.getLogger(__name__)

CHUNK = 256
"""Requests whose images are in memory at a time."""

IMAGE_MARK = "<image>"
"""What some tasks write where an image belongs; here images stand first, as in training."""


class Pair(tuple[float, bool], GenerationResult):
    """A result of ``loglikelihood``: the evaluator makes a text of a bare tuple, but takes this as it is."""


class HificlModel(lmms):
    """Answers the requests of lmms-eval with the prompt form of a backbone or of an adapter.

    Args:
        adapter: Folder of a run or of its adapter. Give this or ``pretrained``.
        pretrained: Frozen model: a folder, a hub id or a key of ``BACKBONES``.
        prompt: Form of a frozen model; an adapter has its own.
        kind: Kind of the task, for the form of a frozen model.
        batch_size: Requests generated together; ``"auto"`` or None takes what fits.
        device: As for ``load_backbone``.
        dtype: Likewise.
        max_batch_size: Not used; lmms-eval passes it to every model.

    Raises:
        InputError: Neither or both of ``adapter`` and ``pretrained``, or what loading refuses.
    """

    is_simple = True

    def __init__(
        self,
        adapter: str | None = None,
        pretrained: str | None = None,
        prompt: str = "default",
        kind: str = "vqa",
        batch_size: int | str | None = None,
        device: str | None = None,
        dtype: str | None = None,
        max_batch_size: int | None = None,
    ) -> None:
        super().__init__()
        if (adapter is None) == (pretrained is None):
            raise InputError("hificl in lmms-eval: give one of --model_args adapter=DIR or pretrained=NAME.")
        if adapter is not None:
            subject: Run | Backbone = load(adapter, device=device, dtype=dtype)
        else:
            subject = load_backbone(pretrained or "", device=device, dtype=dtype).with_prompt(prompt, kind)
        self.adapted: Any = subject.model
        self.backbone = prompted_for(subject if isinstance(subject, Backbone) else subject.backbone, self.adapted)
        self.batch_size = None if batch_size in (None, "auto") else int(batch_size)

    @property
    def device(self) -> torch.device:
        """Where the model is; lmms-eval asks for it when it runs on several processes."""
        return self.backbone.device

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """Answer every request; those with the same generation arguments share batches.

        Raises:
            InputError: A video or audio, or a sample that the backbone refuses; the message names it.
        """
        answers = [""] * len(requests)
        for settings, places in _grouped(requests):
            backbone, decoding = self._search(settings)
            for start in range(0, len(places), CHUNK):
                chunk = places[start : start + CHUNK]
                examples = [self._example(requests[place].args, place) for place in chunk]
                made = generate_answers(
                    backbone, self.adapted, examples, batch_size=self.batch_size, decoding=decoding
                ).texts
                for place, text in zip(chunk, made, strict=True):
                    answers[place] = text
                    context = requests[place].args[0]
                    self.cache_hook.add_partial("generate_until", (context, settings), text)
        return answers

    def generate_until_multi_round(self, requests: Sequence[Any]) -> list[list[str]]:
        """Answer tasks of several rounds one after the other; the task makes each round from the answers before."""
        return [self._rounds(request.args, place) for place, request in enumerate(requests)]

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """Mean loss per token of every continuation, and whether greedy decoding would write it.

        A loss, not a log-likelihood, for lmms-eval chooses the answer with the *smallest* number.
        """
        return [Pair(self._loss(request.args, place)) for place, request in enumerate(requests)]

    def _rounds(self, arguments: tuple[Any, ...], place: int) -> list[str]:
        context, settings, doc_to_visual, doc_to_text, doc_id, task, split = arguments
        document = self.task_dict[task][split][doc_id]
        visuals, backbone_and_decoding = doc_to_visual(document), self._search(dict(settings))
        answers: list[str] = []
        information = None
        while True:
            example = _example(f"{task}/{split}/{doc_id}/{place}", context, visuals, self.backbone)
            backbone, decoding = backbone_and_decoding
            answers += generate_answers(backbone, self.adapted, [example], decoding=decoding).texts
            visuals, context, is_over, told, information = doc_to_text(
                document, previous_output=answers, round_idx=len(answers), previous_round_info=information
            )
            if is_over:
                return answers if told is None else list(told)

    def _loss(self, arguments: tuple[Any, ...], place: int) -> tuple[float, bool]:
        continuation = arguments[1]
        if callable(continuation):
            *_, doc_id, task, split = arguments
            continuation = continuation(self.task_dict[task][split][doc_id])
        # Without an image: lmms-eval asks how likely an answer is on its own.
        example = self._example(arguments, place) if len(arguments) > 2 else Example(f"{place}", [], arguments[0], [])
        found = answer_loss(self.backbone, self.adapted, example, str(continuation).strip())
        return found.total / found.tokens, found.greedy

    def _example(self, arguments: tuple[Any, ...], place: int) -> Example:
        context, _, doc_to_visual, doc_id, task, split = arguments
        visuals = doc_to_visual(self.task_dict[task][split][doc_id])
        return _example(f"{task}/{split}/{doc_id}/{place}", context, visuals, self.backbone)

    def _search(self, settings: dict[str, Any]) -> tuple[Backbone, Decoding]:
        """The stop words and the decoding of a request. Nothing is sampled, whatever the task asks for."""
        if settings.get("do_sample") and settings.get("temperature"):
            logger.warning(
                "the task asks for sampling at temperature %s; hificl decodes greedily or by beams", settings
            )
        until = settings.get("until") or ()
        until = (until,) if isinstance(until, str) else tuple(until)
        form = replace(self.backbone.prompt, stop_words=until) if until else self.backbone.prompt
        decoding = Decoding(
            num_beams=int(settings.get("num_beams") or 1),
            max_new_tokens=settings.get("max_new_tokens"),
            length_penalty=float(settings.get("length_penalty", 1.0)),
        )
        return replace(self.backbone, prompt=form), decoding


def _grouped(requests: Sequence[Any]) -> Iterator[tuple[dict[str, Any], list[int]]]:
    """Generation arguments, each with the places of the requests that have them."""
    groups: dict[str, tuple[dict[str, Any], list[int]]] = {}
    for place, request in enumerate(requests):
        settings = dict(request.args[1])
        groups.setdefault(repr(sorted(settings.items(), key=lambda item: item[0])), (settings, []))[1].append(place)
    yield from groups.values()


def _example(name: str, context: str, visuals: Sequence[Any] | None, backbone: Backbone) -> Example:
    """A request as an example: images first, then what the task asks, unless the form asks in its own words."""
    images = list(visuals or [])
    for image in images:
        if not isinstance(image, Image.Image):
            raise InputError(
                f"sample {name!r}: a {type(image).__name__} in place of an image; hificl reads images only."
            )
    mark = getattr(backbone.processor, "image_token", None) or backbone.prompt.image
    question = context.replace(mark, "").replace(IMAGE_MARK, "").strip()
    return Example(name, images, question if "{question}" in backbone.prompt.question else "", [])
