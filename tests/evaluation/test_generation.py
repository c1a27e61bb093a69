"""Greedy answers: batches equal single rows, stops and cuts, memory that runs out."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor

from hificl.backbones import Backbone, collate, encode, load_backbone
from hificl.data import Example
from hificl.errors import InputError, RunError
from hificl.evaluation import Decoding, generate_answers


class Scripted(torch.nn.Module):
    """Answers every row with the same ids; runs out of memory above a number of rows."""

    def __init__(self, ids: list[int], *, rows: int = 99, failure: Exception | None = None) -> None:
        super().__init__()
        self.parameter = torch.nn.Parameter(torch.zeros(1))
        self.generation_config = SimpleNamespace(eos_token_id=[2])
        self.ids, self.rows, self.failure = ids, rows, failure
        self.batches: list[int] = []

    def generate(self, input_ids: Tensor, **options: Any) -> Tensor:
        assert not self.training
        self.batches.append(len(input_ids))
        if self.failure is not None:
            raise self.failure
        if len(input_ids) > self.rows:
            raise torch.OutOfMemoryError("scripted")
        return torch.cat([input_ids, torch.tensor([self.ids]).expand(len(input_ids), -1)], dim=1)


def greedy(backbone: Backbone, example: Example, shown: list[Example], limit: int) -> str:
    """One token at a time, no cache, no padding."""
    part = encode(backbone, example, demonstrations=shown)
    stops = {backbone.tokenizer.eos_token_id, *backbone.end_ids}
    grown: list[int] = []
    for _ in range(limit):
        whole = dataclasses.replace(part, input_ids=part.input_ids + grown)
        with torch.no_grad():
            token = int(backbone.model(**collate(backbone, [whole])).logits[0, -1].argmax())
        if token in stops:
            break
        grown.append(token)
    text = str(backbone.tokenizer.decode(grown, skip_special_tokens=True)).strip()
    return text.split("\n")[0].strip()


@pytest.mark.parametrize("kind", ["backbone", "chat_backbone"])
def test_batched_cached_answers_are_those_of_a_plain_greedy_loop(
    kind: str, examples: list[Example], request: pytest.FixtureRequest
) -> None:
    backbone: Backbone = request.getfixturevalue(kind)
    made = generate_answers(backbone, backbone.model, examples, shots=2, demonstrations=examples, max_new_tokens=5)
    named = {example.id: example for example in examples}
    for example, text, drawn in zip(examples, made.texts, made.demonstration_ids, strict=True):
        assert text == greedy(backbone, example, [named[one] for one in drawn], 5)
    assert len(set(made.texts)) > 1


def test_text_only_model(text_backbone: Backbone, text_examples: list[Example]) -> None:
    made = generate_answers(text_backbone, text_backbone.model, text_examples, max_new_tokens=4)
    assert made.texts == [greedy(text_backbone, example, [], 4) for example in text_examples]


def test_answers_follow_their_examples_in_any_order_and_batch(backbone: Backbone, examples: list[Example]) -> None:
    options = {"shots": 1, "demonstrations": examples, "max_new_tokens": 3}
    forward = generate_answers(backbone, backbone.model, examples, **options)  # type: ignore[arg-type]
    backward = generate_answers(backbone, backbone.model, examples[::-1], batch_size=3, **options)  # type: ignore[arg-type]
    assert backward.texts == forward.texts[::-1]
    assert backward.demonstration_ids == forward.demonstration_ids[::-1]


def test_demonstrations_are_seeded_and_never_the_query(backbone: Backbone, examples: list[Example]) -> None:
    def drawn(seed: int) -> list[list[str]]:
        model = Scripted([2])
        return generate_answers(
            backbone, model, examples, shots=2, demonstrations=examples, seed=seed
        ).demonstration_ids

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)
    assert all(example.id not in ids and len(ids) == 2 for example, ids in zip(examples, drawn(3), strict=True))


def test_examples_need_no_answers(backbone: Backbone, examples: list[Example]) -> None:
    asked = [dataclasses.replace(example, answers=[]) for example in examples]
    made = generate_answers(backbone, backbone.model, asked, max_new_tokens=2)
    assert made.texts == generate_answers(backbone, backbone.model, examples, max_new_tokens=2).texts


@pytest.mark.parametrize(
    "text, expected",
    [
        (" red\n<image> what", "red"),
        (" light blue</s> red", "light blue"),
        (" red<pad><pad>", "red"),
        ("\n red", ""),
        (" yes. no.", "yes. no."),
        ("<|end|> red", "red"),
    ],
)
def test_answers_are_cut_at_end_marker_and_stop_tokens(
    backbone: Backbone, examples: list[Example], text: str, expected: str
) -> None:
    ids = backbone.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert generate_answers(backbone, Scripted(ids), examples[:3]).texts == [expected] * 3


def test_answers_are_cut_at_the_first_stop_word(text_backbone: Backbone, text_examples: list[Example]) -> None:
    generation = dataclasses.replace(text_backbone.family.generation, stop_words=(" no", " yes"))
    family = dataclasses.replace(text_backbone.family, generation=generation)
    ids = text_backbone.tokenizer(" red yes circle no.")["input_ids"]
    made = generate_answers(dataclasses.replace(text_backbone, family=family), Scripted(ids), text_examples[:1])
    assert made.texts == ["red"]


def test_an_end_marker_of_several_tokens_stops_and_cuts(backbone: Backbone, examples: list[Example]) -> None:
    first = generate_answers(backbone, backbone.model, examples[:1], max_new_tokens=6).texts[0]
    prompt = encode(backbone, examples[0])
    with torch.no_grad():
        free = backbone.model.generate(
            **collate(backbone, [prompt]), max_new_tokens=6, do_sample=False, eos_token_id=None, pad_token_id=0
        )[0, len(prompt.input_ids) :].tolist()
    marked = dataclasses.replace(backbone)
    marked.__dict__["end_ids"] = tuple(free[2:4])
    seen: list[int] = []
    generate = backbone.model.generate

    def watched(**options: Any) -> Tensor:
        output: Tensor = generate(**options)
        seen.append(output.shape[1] - len(prompt.input_ids))
        return output

    model = Scripted([])
    model.generate = watched  # type: ignore[method-assign, assignment]
    made = generate_answers(marked, model, examples[:1], max_new_tokens=6)
    assert seen == [4]
    assert made.texts == [backbone.tokenizer.decode(free[:2]).strip()]
    assert made.texts != [first]


def test_sampling_and_penalties_of_the_checkpoint_do_not_apply(backbone: Backbone, examples: list[Example]) -> None:
    own = load_backbone(backbone.name, device="cpu")
    own.model.generation_config.update(do_sample=True, temperature=9.0, repetition_penalty=7.0, num_beams=3)
    expected = generate_answers(backbone, backbone.model, examples, max_new_tokens=8).texts
    assert generate_answers(own, own.model, examples, max_new_tokens=8).texts == expected


def test_an_adapter_on_the_model_is_used(backbone: Backbone, examples: list[Example]) -> None:
    own = load_backbone(backbone.name, device="cpu")
    torch.manual_seed(0)
    config = LoraConfig(r=4, target_modules=r".*language_model.*\.(q|v)_proj", init_lora_weights=False)
    adapted = get_peft_model(own.model, config)
    before = generate_answers(backbone, backbone.model, examples, max_new_tokens=6).texts
    assert generate_answers(backbone, adapted, examples, max_new_tokens=6).texts != before
    with adapted.disable_adapter():
        assert generate_answers(backbone, adapted, examples, max_new_tokens=6).texts == before


def test_every_module_is_back_in_its_own_mode(backbone: Backbone, examples: list[Example]) -> None:
    """A frozen base stays in eval mode while the adapter on it is trained."""
    model = Scripted([2])
    model.base, model.adapter = torch.nn.Identity().eval(), torch.nn.Identity()
    generate_answers(backbone, model, examples)
    assert (model.training, model.base.training, model.adapter.training) == (True, False, True)


def test_batch_is_halved_when_memory_runs_out_and_nothing_is_lost(backbone: Backbone, examples: list[Example]) -> None:
    ids = backbone.tokenizer(" red\n")["input_ids"]
    model = Scripted(ids, rows=2)
    made = generate_answers(backbone, model, examples, batch_size=6)
    assert model.batches == [6, 3, 1, 1, 1, 1, 1, 1, 1]
    assert made.texts == ["red"] * 7
    assert made.smallest_batch == 1
    assert made.estimate.batch_size == 6


def test_memory_that_does_not_hold_one_query_names_it(backbone: Backbone, examples: list[Example]) -> None:
    with pytest.raises(RunError, match=r"sample 'q3': its \d+ tokens do not fit .* use fewer shots"):
        generate_answers(backbone, Scripted([2], rows=0), examples, batch_size=2)


def test_a_failure_names_its_samples(backbone: Backbone, examples: list[Example]) -> None:
    model = Scripted([2], failure=RuntimeError("broken kernel"))
    with pytest.raises(RunError, match="samples 'q3', 'q6': RuntimeError: broken kernel"):
        generate_answers(backbone, model, examples, batch_size=2)
    assert model.batches == [2]
    assert model.training


@pytest.mark.parametrize("penalty", [0.0, 2.0])
def test_beams_are_those_of_single_rows(backbone: Backbone, examples: list[Example], penalty: float) -> None:
    """Padding and batching change no answer; the model's own search over one row is the measure."""
    search = Decoding(num_beams=3, max_new_tokens=5, length_penalty=penalty)
    made = generate_answers(backbone, backbone.model, examples, decoding=search, batch_size=4)
    stops = [backbone.tokenizer.eos_token_id, *backbone.end_ids]
    for example, text in zip(examples, made.texts, strict=True):
        part = encode(backbone, example)
        with torch.no_grad():
            ids = backbone.model.generate(
                **collate(backbone, [part]), num_beams=3, max_new_tokens=5, length_penalty=penalty, do_sample=False,
                eos_token_id=stops, pad_token_id=0,
            )[0, len(part.input_ids) :]  # fmt: skip
        expected = str(backbone.tokenizer.decode(ids, skip_special_tokens=True)).strip().split("\n")[0].strip()
        assert text == expected
    greedy = generate_answers(backbone, backbone.model, examples, max_new_tokens=5)
    assert made.texts != greedy.texts
    assert made.estimate.row_bytes > 2 * greedy.estimate.row_bytes


def test_the_search_is_asked_for_as_given(backbone: Backbone, examples: list[Example]) -> None:
    seen: list[Any] = []

    class Watched(Scripted):
        def generate(self, input_ids: Tensor, **options: Any) -> Tensor:
            seen.append(options["generation_config"])
            return super().generate(input_ids, **options)

    search = Decoding(num_beams=4, max_new_tokens=7, length_penalty=0.25)
    generate_answers(backbone, Watched([2]), examples[:1], decoding=search)
    generate_answers(backbone, Watched([2]), examples[:1], decoding=search, max_new_tokens=3)
    asked = [(one.num_beams, one.max_new_tokens, one.length_penalty, one.do_sample) for one in seen]
    assert asked == [(4, 7, 0.25, False), (4, 3, 0.25, False)]


def test_the_prompt_form_may_have_stop_words_of_its_own(backbone: Backbone, examples: list[Example]) -> None:
    ids = backbone.tokenizer(" red yes circle no.")["input_ids"]
    prompt = dataclasses.replace(backbone.prompt, stop_words=("cir", "yes"))
    own = dataclasses.replace(backbone, prompt=prompt)
    assert generate_answers(own, Scripted(ids), examples[:1]).texts == ["red"]
    bare = dataclasses.replace(backbone, prompt=dataclasses.replace(prompt, stop_words=()))
    assert generate_answers(bare, Scripted(ids), examples[:1]).texts == ["red yes circle no."]


def test_no_new_tokens(backbone: Backbone, examples: list[Example]) -> None:
    with pytest.raises(InputError, match="max_new_tokens is 0"):
        generate_answers(backbone, backbone.model, examples, max_new_tokens=0)
