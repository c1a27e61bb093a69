"""From an example to token ids: the prompt as evaluation sees it, and the answer appended as ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hificl.backbones.backbone import Backbone
from hificl.backbones.opening import behind_a_round, round_start
from hificl.backbones.prompts import Round, render, render_context
from hificl.backbones.rounds import rounds_of
from hificl.backbones.tokens import continuation
from hificl.data import Example, load_image
from hificl.errors import InputError


@dataclass(frozen=True)
class Encoded:
    """One example, ready to be put into a batch."""

    input_ids: list[int]
    """Token ids of the prompt, images expanded to their places, never truncated."""

    answer_ids: list[int]
    """Token ids of the answer and its end marker; empty when there is no answer."""

    inputs: Mapping[str, Tensor]
    """What the processor returned besides the ids: pixels, grids, masks, token types, each for this sample."""

    id: str
    """Id of the example."""

    @property
    def length(self) -> int:
        """Tokens of prompt and answer together."""
        return len(self.input_ids) + len(self.answer_ids)

    def runs_along_sequence(self, key: str) -> bool:
        """Whether a tensor has one entry per prompt token: token types [1, tokens], image masks [1, tokens, images]."""
        tensor = self.inputs[key]
        return not tensor.is_floating_point() and tensor.dim() >= 2 and tensor.shape[:2] == (1, len(self.input_ids))


def encode(
    backbone: Backbone, example: Example, *, demonstrations: Sequence[Example] = (), answer: str | None = None
) -> Encoded:
    """Render and tokenise one example.

    Args:
        backbone: The model's processor, prompt form and limits.
        example: The query. Its answers are not read. Its choices, if any, are read as ``rounds_of`` describes.
        demonstrations: Earlier rounds of the same prompt, each with its first answer.
        answer: The training target. Its ids and the end marker are appended as ids; the prompt's ids stay exactly
            those of evaluation, unless the form is a published one that renders training otherwise.

    Returns:
        Token ids and the tensors of this sample.

    Raises:
        InputError: an unreadable image, images for a text-only model, an image mark inside a text, a question or
            choices that the prompt form does not show, a demonstration without answer, an answer that tokenises to
            nothing, or more tokens than the context holds. The message names the sample.
    """
    shown = [*demonstrations, example]
    rounds = rounds_of(backbone.prompt, example, demonstrations)
    images = _images(backbone, shown, rounds)
    text = render(backbone.prompt, rounds, backbone.chat(), teaching=answer is not None)
    behind, text = behind_a_round(backbone, text) if backbone.prompt.begins_with_a_round else ("", text)
    inputs = _process(backbone, behind + text, images, example.id)
    prompt_ids = inputs.pop("input_ids")[0].tolist()
    if behind:
        start = round_start(backbone, behind, prompt_ids, example.id)
        prompt_ids, inputs = _without_first(start, prompt_ids, inputs)
    answer_ids = [] if answer is None else _answer_ids(backbone, text, answer, example.id)
    encoded = Encoded(prompt_ids, answer_ids, inputs, example.id)
    check_context(backbone, encoded.length, example.id, shots=len(demonstrations))
    return encoded


def encode_context(backbone: Backbone, demonstrations: Sequence[Example]) -> Encoded:
    """Render and tokenise what stands before the query of a prompt with demonstrations: the opening and these.

    Args:
        backbone: In a prompt form that writes its opening.
        demonstrations: At least one, each with its first answer.

    Raises:
        InputError: As for :func:`encode`.
    """
    last = demonstrations[-1]
    rounds = rounds_of(backbone.prompt, last, demonstrations)[:-1]
    images = _images(backbone, demonstrations, rounds)
    text = render_context(backbone.prompt, rounds, backbone.chat())
    inputs = _process(backbone, text, images, last.id)
    encoded = Encoded(inputs.pop("input_ids")[0].tolist(), [], inputs, last.id)
    check_context(backbone, encoded.length, last.id, shots=len(demonstrations))
    return encoded


def check_context(backbone: Backbone, length: int, sample: str, *, shots: int = 0) -> None:
    """Refuse a sequence of ``length`` tokens that the context does not hold.

    Raises:
        InputError: with the length, the limit and the sample.
    """
    limit = backbone.context_limit
    if length > limit:
        remedy = f"use fewer than {shots} shots" if shots else "shorten the question or use fewer or smaller images"
        raise InputError(
            f"sample {sample!r}: the sequence has {length} tokens and the context of {backbone.name} holds {limit}; "
            f"{remedy}."
        )


def _images(backbone: Backbone, shown: Sequence[Example], rounds: Sequence[Round]) -> list[Any]:
    """Load the images of all examples, in order."""
    _refuse_images(backbone, shown)
    _refuse_marks(backbone, shown, rounds)
    return [
        load_image(image, place=f"sample {one.id!r}, image {index}")
        for one in shown
        for index, image in enumerate(one.images, start=1)
    ]


def _without_first(count: int, ids: list[int], inputs: dict[str, Tensor]) -> tuple[list[int], dict[str, Tensor]]:
    """Cut off the first tokens, with what runs along them."""
    along = Encoded(ids, [], inputs, "").runs_along_sequence
    return ids[count:], {key: tensor[:, count:] if along(key) else tensor for key, tensor in inputs.items()}


def _refuse_images(backbone: Backbone, shown: Sequence[Example]) -> None:
    for example in shown:
        if example.images and not backbone.takes_images:
            raise InputError(
                f"sample {example.id!r} has images and {backbone.name} reads text only; use another backbone."
            )


def _refuse_marks(backbone: Backbone, shown: Sequence[Example], rounds: Sequence[Round]) -> None:
    """A mark inside a text would count as one image more than there are; to a text model it is text."""
    if not backbone.takes_images:
        return
    mark = getattr(backbone.processor, "image_token", None) or (None if backbone.prompt.chat else backbone.prompt.image)
    for example, round_ in zip(shown, rounds, strict=True):
        for text in (round_.question, round_.answer or "", *round_.choices):
            if mark and mark in text:
                raise InputError(
                    f"sample {example.id!r}: the text {text!r} contains the image mark {mark!r}; remove it, "
                    "images are given in the list `images`."
                )


def _process(backbone: Backbone, text: str, images: list[Any], sample: str) -> dict[str, Tensor]:
    """Run the processor on one prompt; all tensors have the sample (or its images, patches) on axis 0."""
    tokenizer = backbone.tokenizer
    try:
        if backbone.family.interleaved:
            made = backbone.processor(text=[_interleave(text, backbone.prompt.image, images)], return_tensors="pt")
        else:
            bos = tokenizer.bos_token
            made = backbone.processor(
                text=[text.removesuffix(backbone.family.processor_appends)],
                **({"images": [images]} if images else {}),
                # Exactly one begin mark, whether the prompt form, the chat template or the tokenizer writes it.
                add_special_tokens=not (bos and text.startswith(bos)),
                return_tensors="pt",
                truncation=False,
                padding=False,
            )
    except (ValueError, TypeError, RuntimeError, IndexError) as error:
        raise InputError(
            f"sample {sample!r}: the processor of {backbone.name} refused the prompt ({error}); "
            "check the number of images and the prompt form."
        ) from error
    # The mask follows from the lengths; labels (some processors make them) follow from the answer.
    dropped = ("attention_mask", "labels")
    return {key: value for key, value in made.items() if torch.is_tensor(value) and key not in dropped}


def _interleave(text: str, mark: str, images: list[Any]) -> list[Any]:
    pieces: list[Any] = []
    waiting = iter(images)
    for index, piece in enumerate(text.split(mark)):
        if index:
            pieces.append(next(waiting))
        if piece:
            pieces.append(piece)
    return pieces


def _answer_ids(backbone: Backbone, prompt: str, answer: str, sample: str) -> list[int]:
    tokenizer = backbone.tokenizer
    ids = continuation(tokenizer, prompt, backbone.answer_text(answer)) if answer.strip() else []
    if not tokenizer.decode(ids, skip_special_tokens=True).strip():
        raise InputError(
            f"sample {sample!r}: the answer {answer!r} tokenises to nothing with the tokenizer of {backbone.name}; "
            "give an answer of words or leave the sample out."
        )
    return [*ids, *backbone.end_ids]
