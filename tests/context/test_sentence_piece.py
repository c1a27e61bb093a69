"""Prompts of tokenizers that begin a text otherwise than they go on: starts from demonstrations, and teachers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
import torch

import hificl
from backbones.sentence_piece import PREPENDS, sentence_piece_tokenizer
from backbones.tiny_models import TWINS, make_examples
from closeness import assert_close, rounding_budget
from context.test_start import adapter, last_logits, new_double
from hificl.backbones import Backbone, PromptForm, encode, with_opening
from hificl.context.boundary import context_of
from hificl.errors import InputError
from hificl.training.alignment import aligned_tokens, query_start

IDEFICS = (
    "{% for message in messages %}{{ message['role'].capitalize() }}:{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %} {{ part['text'] }}{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
VICUNA = (
    "be brief. {% for message in messages %}{{ message['role'].upper() }}: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }} {% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
CASES = {
    "idefics, default": ("idefics", "default", None, None),
    "idefics, official": ("idefics", "official", None, None),
    "idefics2, official": ("idefics2", "official", None, None),
    "idefics2, chat": ("idefics2", "default", IDEFICS, ""),
    "idefics2, chat with an instruction": ("idefics2", "default", IDEFICS, "Answer shortly.\n"),
    "llava, chat with a system turn": ("embedded", "default", VICUNA, ""),
}
"""Family, prompt form, chat template, instruction."""

EXAMPLES = make_examples()
SHOWN, QUERY = EXAMPLES[:2], EXAMPLES[4]


@pytest.fixture(scope="module", params=PREPENDS)
def prepend(request: pytest.FixtureRequest) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backbones.tiny_models.tiny_tokenizer", partial(sentence_piece_tokenizer, request.param))
        yield request.param


@pytest.fixture(scope="module", params=CASES)
def spelt(request: pytest.FixtureRequest, prepend: str, tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    family, form, template, head = CASES[request.param]
    folder = tmp_path_factory.mktemp("spelt")
    TWINS[family](folder)
    backbone = hificl.load_backbone(folder)
    backbone.processor.chat_template = template
    if template is None:
        return backbone.with_prompt(form)
    return replace(backbone, prompt=PromptForm(name="chat", chat=True, question="{question}", head=head))


def test_the_query_alone_has_the_tokens_that_it_has_behind_demonstrations(spelt: Backbone) -> None:
    whole = encode(spelt, QUERY, demonstrations=SHOWN).input_ids
    alone = encode(with_opening(spelt, "in_adapter"), QUERY).input_ids
    assert context_of(spelt, SHOWN, QUERY).input_ids + alone == whole
    assert spelt.tokenizer.decode(alone).strip().startswith(("Image:", "User:", "USER:"))


def test_teacher_and_student_share_all_but_the_first_word_of_the_query(spelt: Backbone) -> None:
    student = encode(spelt, QUERY, answer="red")
    teacher = encode(spelt, QUERY, demonstrations=SHOWN, answer="red")
    start = query_start(spelt, QUERY, student)
    count = aligned_tokens(spelt, student, teacher, start)
    ours, theirs = (one.input_ids + one.answer_ids for one in (student, teacher))
    assert ours[-count:] == theirs[-count:]
    left_out = spelt.tokenizer.decode(ours[start:-count])
    assert len(left_out.split()) <= 1
    assert len(left_out) <= len("ASSISTANT:")


def test_a_word_inside_the_query_is_not_left_out(spelt: Backbone) -> None:
    student = encode(spelt, QUERY, answer="red")
    teacher = encode(spelt, QUERY, demonstrations=SHOWN, answer="red")
    ids = teacher.input_ids.copy()
    ids[-5] += 1
    with pytest.raises(InputError, match="'q4': token .* of its query"):
        aligned_tokens(spelt, student, replace(teacher, input_ids=ids), query_start(spelt, QUERY, student))


@torch.no_grad()
def test_every_token_kept_gives_the_logits_of_the_prompt(spelt: Backbone) -> None:
    captured = hificl.capture_demonstrations(spelt, SHOWN)
    model = adapter(spelt, captured.tokens)
    started = hificl.initialise_from_demonstrations(model, captured, backbone=spelt)
    expected = last_logits(spelt.model, spelt, QUERY, SHOWN)
    budget = rounding_budget(expected, last_logits(new_double(spelt), spelt, QUERY, SHOWN))
    assert_close(last_logits(model, started.backbone, QUERY), expected, budget, "logits")
