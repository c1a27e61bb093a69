"""The start from demonstrations through the public interface: the law on token ids, records, refusals."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import PeftModel

import hificl
from closeness import assert_close, rounding_budget
from hificl.adapters.stored import new_adapter
from hificl.backbones import Backbone, PromptForm, collate, encode, encode_context, with_opening
from hificl.context import Captured, capture_demonstrations
from hificl.context.written import written_context
from hificl.data import Example, choose_demonstrations
from hificl.diagnostics import Reader, fidelity
from hificl.errors import InputError
from hificl.training.estimate import plan
from hificl.training.lessons import visits_of
from hificl.training.recipes import Recipe
from hificl.training.samples import EncodedExamples
from hificl.tuner import HiFICLLayer
from hificl.tuner.sidecar import sidecars
from training.test_alignment import CHAT

PLAIN = PromptForm(name="plain", start="<s>", question="{images} {question} A:", answer=" {answer}", separator="\n",
                   end="\n")  # fmt: skip
FORMS = {
    "begin mark": PLAIN,
    "instruction": replace(PLAIN, head="light yellow\n"),
    "chat": PromptForm(name="chat", chat=True, question="{question}"),
    "chat with an instruction": PromptForm(name="chat", chat=True, head="light ", question="{question}"),
}


def formed(backbone: Backbone, name: str) -> Backbone:
    backbone.processor.chat_template = CHAT if FORMS[name].chat else None
    return replace(backbone, prompt=FORMS[name])


def adapter(backbone: Backbone, pairs: int, **options: object) -> PeftModel:
    told = {"init": "demonstrations", "factorize_key": False, "factorize_value": False, **options}
    return new_adapter(backbone, hificl.HiFICLConfig(num_virtual_tokens=pairs, **told)).eval()  # type: ignore[arg-type]


@torch.no_grad()
def last_logits(
    model: torch.nn.Module, backbone: Backbone, query: Example, shown: Sequence[Example] = ()
) -> torch.Tensor:
    batch = collate(backbone, [encode(backbone, query, demonstrations=shown)])
    double = {name: one.to(next(model.parameters()).dtype) if one.is_floating_point() else one for name, one in
              batch.items()}  # fmt: skip
    return model(**double).logits[0, -1]


@pytest.mark.parametrize("name", FORMS)
def test_every_token_kept_gives_the_logits_of_the_prompt(
    backbone: Backbone, examples: list[Example], name: str
) -> None:
    backbone = formed(backbone, name)
    shown, query = examples[:3], examples[4]
    captured = hificl.capture_demonstrations(backbone, shown)
    assert captured.tokens == encode_context(backbone, shown).length
    model = adapter(backbone, captured.tokens)
    started = hificl.initialise_from_demonstrations(model, shown, backbone=backbone)
    expected = last_logits(backbone.model, backbone, query, shown)
    budget = rounding_budget(expected, last_logits(new_double(backbone), backbone, query, shown))
    assert_close(last_logits(model, started.backbone, query), expected, budget, "logits")
    written = last_logits(model, backbone, query)
    assert (written - expected).abs().max() > 10 * budget, "with the opening twice it is an approximation only"


def new_double(backbone: Backbone) -> torch.nn.Module:
    import copy

    return copy.deepcopy(backbone.model).double()


def test_fidelity_finds_no_distance_where_every_token_is_kept(backbone: Backbone, examples: list[Example]) -> None:
    backbone, query = formed(backbone, "begin mark"), examples[4]
    shown = choose_demonstrations(examples, query, 2, 7)
    readers = {}
    for name, pairs in (("all", capture_demonstrations(backbone, shown).tokens), ("few", 3)):
        model = adapter(backbone, pairs, learn_score_offset=True)
        started = hificl.initialise_from_demonstrations(model, shown, backbone=backbone, queries=examples[5:])
        readers[name] = Reader(model, opening=started.backbone.prompt.opening)
    lines = fidelity(backbone, readers, [query], examples, shots=2, draws=1, seed=7)["lines"]
    (site,) = {site for site in lines["all"] if "residual" in site} or [next(iter(lines["all"]))]
    found = {name: lines[name][site]["shared"]["relative_l2"]["mean"] for name in (*readers, "zero_shot")}
    assert found["all"] < 1e-4 < 1e-2 < found["few"] < found["zero_shot"]


def test_prompts_of_such_an_adapter_begin_with_the_round(backbone: Backbone, examples: list[Example]) -> None:
    for name, form in FORMS.items():
        backbone = formed(backbone, name)
        asked = with_opening(backbone, "in_adapter")
        whole = encode(backbone, examples[3], demonstrations=examples[:2]).input_ids
        context = encode_context(backbone, examples[:2]).input_ids
        assert whole == [*context, *encode(asked, examples[3]).input_ids], form.name


def test_no_logits_are_made_that_nobody_reads(backbone: Backbone, examples: list[Example]) -> None:
    """Those of eight demonstrations with their images would be larger than everything else on a large model."""
    rows: list[int] = []
    head = backbone.model.get_output_embeddings()
    head.register_forward_hook(lambda module, inputs, output: rows.append(output.shape[1]))
    model = adapter(backbone, 5, learn_score_offset=True)
    hificl.initialise_from_demonstrations(model, examples[:3], backbone=backbone, queries=examples[3:])
    assert len(rows) >= 2
    assert set(rows) == {1}


@pytest.mark.parametrize("share", ["query", "kv"])
def test_compressed_pairs_answer_nearly_as_the_prompt(backbone: Backbone, examples: list[Example], share: str) -> None:
    backbone, shown = formed(backbone, "begin mark"), examples[:4]
    distances = []
    for pairs in (2, 12, 48):
        model = adapter(backbone, pairs, learn_score_offset=True, share=share)
        started = hificl.initialise_from_demonstrations(model, shown, backbone=backbone, queries=examples[4:])
        assert started.report["pairs"] == pairs
        expected = [last_logits(backbone.model, backbone, query, shown) for query in examples[4:]]
        found = [last_logits(model, started.backbone, query) for query in examples[4:]]
        distances.append(sum(float((one - two).norm()) for one, two in zip(found, expected, strict=True)))
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.5 * distances[0]


def test_a_base_in_half_precision(backbone: Backbone, examples: list[Example]) -> None:
    """The pairs are float32: with all tokens, no further from exact numbers than the prompt itself in bfloat16 is."""
    import copy

    backbone, shown = formed(backbone, "begin mark"), examples[:3]
    half = replace(backbone, model=copy.deepcopy(backbone.model).bfloat16())
    captured = capture_demonstrations(half, shown)
    for pairs in (captured.tokens, 40):
        model = adapter(half, pairs, learn_score_offset=True)
        started = hificl.initialise_from_demonstrations(model, captured, backbone=half, queries=examples[3:])
        expected = last_logits(backbone.model, backbone, examples[5], shown)
        error = (last_logits(half.model, half, examples[5], shown) - expected).norm()
        found = (last_logits(model, started.backbone, examples[5]) - expected).norm()
        assert found < (3 if pairs == captured.tokens else 30) * error


def test_factors_are_the_nearest_of_their_rank(backbone: Backbone, examples: list[Example]) -> None:
    backbone = formed(backbone, "begin mark")
    captured = capture_demonstrations(backbone, examples[:2])
    full = adapter(backbone, 5, learn_score_offset=True)
    for rank, exact in ((5, True), (2, False)):
        low = adapter(backbone, 5, r=rank, factorize_key=True, factorize_value=True, learn_score_offset=True)
        for model in (full, low):
            hificl.initialise_from_demonstrations(model, captured, backbone=backbone, queries=examples[4:])
        for one, other in zip(layers(full), layers(low), strict=True):
            keys = written_context(one, "default").key, written_context(other, "default").key
            assert torch.allclose(*keys, atol=1e-5) == exact
            assert torch.linalg.matrix_rank(keys[1], atol=1e-4).max() <= rank


def layers(model: PeftModel) -> list[HiFICLLayer]:
    return [layer for _, _, layer in sidecars(model, HiFICLLayer) if isinstance(layer, HiFICLLayer)]


def test_several_captures_together_have_the_mass_of_one(backbone: Backbone, examples: list[Example]) -> None:
    backbone, shown = formed(backbone, "begin mark"), examples[:2]
    once = capture_demonstrations(backbone, shown)
    twice = capture_demonstrations(backbone, [*shown, *shown], shots=2)
    assert twice.tokens == 2 * once.tokens
    logits = []
    for captured in (once, twice):
        model = adapter(backbone, captured.tokens, init_score_offset=captured.score_offset)
        started = hificl.initialise_from_demonstrations(model, captured, backbone=backbone)
        logits.append(last_logits(model, started.backbone, examples[5]))
    assert torch.allclose(*logits, atol=1e-4)


def test_training_starts_there_and_the_adapter_remembers(
    backbone: Backbone, examples: list[Example], tmp_path: Path
) -> None:
    backbone = formed(backbone, "begin mark")
    options = {"init": "demonstrations", "init_shots": 3, "learn_score_offset": True, "num_virtual_tokens": 4, "r": 4}
    run = hificl.train(backbone, examples, output_dir=tmp_path / "start", steps=0, **options)
    assert run.record["results"]["losses"] == []
    prepared = run.record["results"]["prepared"]
    assert len(prepared["demonstrations"]) == 3
    assert prepared["pairs"] == 4 < prepared["tokens"]
    with warnings.catch_warnings():  # a form that no family knows, asked as it was trained
        warnings.simplefilter("error", UserWarning)
        again = hificl.load(tmp_path / "start", backbone=backbone)
    assert again.backbone.prompt.begins_with_a_round
    assert torch.equal(*(last_logits(one.model, one.backbone, examples[5]) for one in (run, again)))
    trained = hificl.train(backbone, examples, output_dir=tmp_path / "on", steps=2, **options)
    assert trained.record["results"]["steps"] == 2
    assert trained.record["results"]["prepared"] == prepared
    assert not torch.equal(*(last_logits(one.model, one.backbone, examples[5]) for one in (run, trained)))


def test_the_random_state_stays_as_it_is(backbone: Backbone, examples: list[Example]) -> None:
    backbone = formed(backbone, "begin mark")
    model = adapter(backbone, 3)
    before = torch.random.get_rng_state()
    captured = capture_demonstrations(backbone, examples[:2])
    hificl.initialise_from_demonstrations(model, captured, backbone=backbone, queries=examples[2:4])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_start_is_kept_where_all_that_follows_is_worse(
    backbone: Backbone, examples: list[Example], tmp_path: Path
) -> None:
    backbone = formed(backbone, "begin mark")
    options = {"init": "demonstrations", "init_shots": 2, "learn_score_offset": True, "num_virtual_tokens": 4, "r": 4}
    start = hificl.train(backbone, examples, output_dir=tmp_path / "start", steps=0, holdout=0.3, **options)
    worse = hificl.train(
        backbone, examples, output_dir=tmp_path / "on", steps=4, holdout=0.3, learning_rate=300.0, warmup=0, **options
    )
    results = worse.record["results"]
    assert (results["best_step"], results["held_out"][0]["step"]) == (0, 0)
    assert results["steps"] > 0
    assert torch.equal(*(last_logits(one.model, one.backbone, examples[5]) for one in (start, worse)))


def test_a_random_start_has_nothing_without_training(
    backbone: Backbone, examples: list[Example], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="steps is 0"):
        hificl.train(backbone, examples, output_dir=tmp_path / "run", recipe="plain", steps=0)


@pytest.mark.parametrize(
    ("pairs", "told", "message"),
    [
        (999, {}, "the demonstrations have 8[0-9] tokens; take at most that"),
        (4, {"compression": "zip"}, "unknown compression 'zip'"),
        (4, {"adapter_name": "other"}, "no HiFICL adapter 'other'"),
    ],
)
def test_what_cannot_be_is_refused(
    backbone: Backbone, examples: list[Example], pairs: int, told: dict[str, str], message: str
) -> None:
    backbone = formed(backbone, "begin mark")
    with pytest.raises(InputError, match=message):
        hificl.initialise_from_demonstrations(adapter(backbone, pairs), examples[:3], backbone=backbone, **told)  # type: ignore[arg-type]


def test_pairs_fitted_to_no_query_are_refused(backbone: Backbone, examples: list[Example]) -> None:
    captured: Captured = capture_demonstrations(formed(backbone, "begin mark"), examples[:2])
    with pytest.raises(InputError, match="no queries were given"):
        hificl.initialise_from_demonstrations(adapter(backbone, 4), captured, backbone=backbone)


def test_masses_that_an_adapter_cannot_hold_are_refused_or_fitted_around(
    backbone: Backbone, examples: list[Example]
) -> None:
    backbone, shown = formed(backbone, "begin mark"), examples[:2]
    twice = capture_demonstrations(backbone, [*shown, *shown], shots=2)
    with pytest.raises(InputError, match="offsets up to 0.693, and the adapter has the constant 0"):
        hificl.initialise_from_demonstrations(adapter(backbone, twice.tokens), twice, backbone=backbone)
    model = adapter(backbone, 5, init_score_offset=-0.4)
    hificl.initialise_from_demonstrations(model, shown, backbone=backbone, queries=examples[4:])
    for layer in layers(model):
        assert torch.equal(written_context(layer, "default").offset.unique(), torch.tensor([-0.4], dtype=torch.float64))


def test_a_start_that_cannot_be_leaves_what_was_there(
    backbone: Backbone, examples: list[Example], tmp_path: Path
) -> None:
    backbone = formed(backbone, "begin mark")
    hificl.train(backbone, examples, output_dir=tmp_path / "run", steps=1)
    for told, message in (
        ({"num_virtual_tokens": 500, "init_shots": 2}, "take at most that many pairs"),
        ({"init_shots": 6, "init_captures": 2}, "takes 2 x 6 demonstrations, and there are 11"),
        ({"init_shots": 2, "steps": 0, "teacher": "mse"}, "nobody is taught"),
    ):
        asked = {"init": "demonstrations", **told}
        with pytest.raises(InputError, match=message):
            hificl.train(backbone, examples, output_dir=tmp_path / "run", resume=False, **asked)
        with pytest.raises(InputError, match=message):
            plan(backbone, examples, **asked)
    assert (tmp_path / "run" / "record.json").is_file()


@pytest.mark.parametrize(
    ("told", "message"),
    [({"mixing": "additive"}, "of one exact softmax"), ({"compat": "official"}, "one exact softmax")],
)
def test_adapters_that_are_no_joint_softmax_are_refused(
    backbone: Backbone, examples: list[Example], told: dict[str, str], message: str
) -> None:
    backbone = formed(backbone, "begin mark")
    with pytest.raises(InputError, match=message):
        hificl.initialise_from_demonstrations(
            adapter(backbone, 4, init="random", **told), examples[:2], backbone=backbone
        )


def test_bad_arguments_are_refused(backbone: Backbone, examples: list[Example]) -> None:
    backbone = formed(backbone, "begin mark")
    for shots in (0, -1, True):
        with pytest.raises(InputError, match="it must be an integer of at least 1"):
            capture_demonstrations(backbone, examples[:2], shots=shots)
    with pytest.raises(InputError, match="no demonstration was given"):
        capture_demonstrations(backbone, [])
    unlabelled = [replace(examples[5], answers=())]
    with pytest.raises(InputError, match="'q5' has no answer"):
        hificl.initialise_from_demonstrations(adapter(backbone, 4), examples[:2], backbone=backbone, queries=unlabelled)


def test_demonstrations_are_captured_as_they_stand_before_a_query(backbone: Backbone, examples: list[Example]) -> None:
    """Where a template writes the last turn of all otherwise than the ones before."""
    backbone, shown = formed(backbone, "chat"), examples[:2]
    backbone.processor.chat_template = CHAT.replace(
        "{{ part['text'] }}", "{% if loop.last and message == messages[-1] %}light {% endif %}{{ part['text'] }}"
    )
    whole = encode(backbone, examples[4], demonstrations=shown).input_ids
    alone = encode(with_opening(backbone, "in_adapter"), examples[4]).input_ids
    assert encode_context(backbone, shown).length > len(whole) - len(alone), "the template makes a difference"
    assert capture_demonstrations(backbone, shown).tokens == len(whole) - len(alone)


def test_another_form_of_the_family_keeps_the_opening_where_it_is(backbone: Backbone) -> None:
    asked = with_opening(replace(backbone, prompt=PLAIN), "in_adapter")
    assert asked.with_prompt("default").prompt.begins_with_a_round
    assert not backbone.with_prompt("default").prompt.begins_with_a_round


@pytest.mark.parametrize("name", ["begin mark", "chat"])
def test_a_teacher_reads_the_opening_that_the_pairs_of_its_student_hold(
    backbone: Backbone, examples: list[Example], name: str
) -> None:
    backbone = formed(backbone, name)
    student = EncodedExamples(with_opening(backbone, "in_adapter"), examples)
    recipe = Recipe(teacher="mse", teacher_shots=2, batch_size=1, micro_batch_size=1)
    lesson = visits_of(student, recipe, 3, 0)[0]
    assert lesson.teacher is not None
    shown = len(lesson.teacher.input_ids) - len(lesson.student.input_ids)
    opening = opening_ids(backbone, examples)
    assert lesson.teacher.input_ids[: len(opening)] == opening
    assert lesson.teacher.input_ids[shown:] == lesson.student.input_ids
    assert lesson.tokens == lesson.student.length, "nothing stands before the query of the student"


def opening_ids(backbone: Backbone, examples: list[Example]) -> list[int]:
    whole, alone = (
        encode(one, examples[0]).input_ids for one in (backbone, with_opening(backbone, "in_adapter"))
    )  # fmt: skip
    assert whole[-len(alone) :] == alone
    return whole[: -len(alone)]
