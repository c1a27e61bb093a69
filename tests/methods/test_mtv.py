"""Multimodal task vectors: replacement against hooks, the policy on problems with a known answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from closeness import assert_close
from hificl.backbones import Backbone
from hificl.errors import InputError
from hificl.methods.activations import (
    answer_losses_with_replaced_heads,
    answer_starts,
    last_token_activations,
    without_answer,
)
from hificl.methods.fitting import Fitting
from hificl.methods.head_replacement import HeadReplacement
from hificl.methods.mtv import MTVConfig, Policy, affordable_steps, fit
from hificl.tuner import find_places, interventions

from .by_hand import batch_of, before, decoder_layers, logits_of, steps_of

SMALL: dict[str, Any] = {"shots": 2, "prompts": 5, "pool": 3, "steps": 3, "masks": 5, "final_masks": 4}


@contextmanager
def replaced_by_hand(
    model: Any, means: Tensor, heads: list[list[int]], *, prefill_only: bool = False
) -> Iterator[None]:
    with ExitStack() as stack:
        for layer, head in heads:

            def change(outputs: Tensor, layer: int = layer, head: int = head) -> Tensor | None:
                if outputs.shape[1] == 1 and prefill_only:
                    return None
                outputs = outputs.clone()
                outputs[:, -1, 10 * head : 10 * head + 10] = means[layer, head]
                return outputs

            stack.enter_context(before(decoder_layers(model)[layer].self_attn.o_proj, change))
        yield


@pytest.mark.parametrize("heads", [[[0, 5]], [[1, 0], [1, 3], [0, 2]]])
def test_chosen_heads_are_replaced_at_the_last_token_of_every_step(fitting: Fitting, heads: list[list[int]]) -> None:
    base = fitting.backbone
    prompts = [fitting.ask(one) for one in fitting.examples[:3]]
    model = fitting.new_model(MTVConfig(heads=heads))
    means = torch.randn(2, 6, 10, generator=torch.Generator().manual_seed(1))
    for (site, layer), intervention in interventions(model).items():
        assert site == "head_output"
        intervention.head_means.copy_(means[layer])  # type: ignore[operator, union-attr]
    found, found_steps = logits_of(base, model, prompts), steps_of(base, model, prompts)
    with replaced_by_hand(base.model, means, heads):
        assert torch.equal(found, logits_of(base, base.model, prompts))
        for one, other in zip(found_steps, steps_of(base, base.model, prompts), strict=True):
            assert torch.equal(one, other)
    with replaced_by_hand(base.model, means, heads, prefill_only=True):
        assert not torch.equal(found_steps[1][:, 1:], steps_of(base, base.model, prompts)[1][:, 1:])
    assert not torch.equal(found, logits_of(base, base.model, prompts))


def test_the_loss_of_a_whole_answer_is_that_of_steps_that_each_replace(double: Backbone, fitting: Fitting) -> None:
    """Prompt and then answer tokens one by one through a cache, heads replaced at the last token of every step."""
    asked = replace(fitting, backbone=double).ask(fitting.examples[0])
    prompt = replace(asked, answer_ids=[5, 9, 4])
    targets = [5, 9, 4, *double.end_ids]
    means = torch.randn(2, 6, 10, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    masks = torch.rand(3, 2, 6, generator=torch.Generator().manual_seed(2)) < 0.4
    places = find_places(double.model, "head_output")
    with HeadReplacement(double.model, places, means) as replacement:
        found = answer_losses_with_replaced_heads(double, replacement, prompt, masks, batch_size=2)
        assert replacement.positions == 1
    for mask, loss in zip(masks, found, strict=True):
        batch, losses = batch_of(double, [prompt]), []
        with replaced_by_hand(double.model, means, mask.nonzero().tolist()), torch.no_grad():
            for target in targets:
                output = double.model(**batch)
                losses.append(-output.logits[0, -1].log_softmax(-1)[target])
                length = batch["attention_mask"].shape[1] + 1
                batch = {
                    "input_ids": torch.tensor([[target]]), "attention_mask": torch.ones(1, length, dtype=torch.long),
                    "past_key_values": output.past_key_values,
                }  # fmt: skip
        assert float(loss) == pytest.approx(float(torch.stack(losses).mean()), rel=1e-6)


def test_the_search_measures_what_it_is_told_to(fitting: Fitting) -> None:
    first, whole = (
        fit(fitting, MTVConfig(**SMALL, answer_tokens=tokens)).report["losses"] for tokens in ("first", "all")
    )
    assert first[0] != whole[0]


def test_without_heads_the_model_is_the_frozen_one(fitting: Fitting) -> None:
    base = fitting.backbone
    prompts = [fitting.ask(one) for one in fitting.examples[:3]]
    none: list[list[list[int]] | None] = [None, []]
    for heads in none:
        model = fitting.new_model(MTVConfig(heads=heads))
        assert torch.equal(logits_of(base, model, prompts), logits_of(base, base.model, prompts))


@pytest.mark.parametrize("options, words", [
    ({"heads": [[0, 3], [1, 6]]}, r"MTVConfig: heads has \[1, 6\], and layer 1 has 6 heads; they go from 0 to 5"),
    ({"heads": [[99, 0]]}, r"heads has \[99, 0\], and the text decoder has 2 layers .*; layers go from 0 to 1"),
    ({"heads": [[0, 3]], "layers_to_transform": [1]}, r"heads has \[0, 3\], and layers_to_transform=\[1\] leaves"),
    ({"layers_to_transform": 2}, "there is no layer 2, the text decoder has 2"),
])  # fmt: skip
def test_heads_that_there_are_not_are_refused(fitting: Fitting, options: dict[str, Any], words: str) -> None:
    """At the start of a fit, and where a config is attached."""
    without_forward = replace(fitting, examples=fitting.examples[:1])
    with pytest.raises(InputError, match=words):
        fit(without_forward, MTVConfig(**{**SMALL, **options}))
    with pytest.raises(InputError, match=words):
        fitting.new_model(MTVConfig(**options))


def new_policy(seed: int = 1) -> Policy:
    return Policy(3, 4, 0.1, torch.Generator().manual_seed(seed))


def test_a_step_is_reinforce() -> None:
    """The gradient by hand: of log p(mask) with regard to a logit it is mask - p."""
    policy = new_policy()
    masks = policy.draw(7)
    losses = torch.rand(7, generator=torch.Generator().manual_seed(2))
    gradients: list[Tensor] = []
    policy.optimizer.register_step_pre_hook(lambda *_: gradients.append(policy.logits.grad.clone()))  # type: ignore[union-attr]
    assert policy.update(masks, losses) == pytest.approx(float(losses.mean()))
    reward = (losses - losses.mean()) / (losses.std() + 1e-3)
    by_hand = (reward[:, None, None] * (masks.float() - torch.sigmoid(torch.tensor(-1.0)))).sum(dim=0)
    assert_close(gradients[0], by_hand, 1e-5)
    moved = by_hand.abs() > 1e-3  # heads that no two sets differ in stay about where they are
    assert_close(policy.logits.detach()[moved], -1 - 0.1 * by_hand[moved].sign(), 1e-4, "Adam's first step")
    assert moved.sum() > 6


def test_the_policy_finds_the_heads_that_lower_the_loss() -> None:
    """The loss counts the heads that differ from a wanted set."""
    wanted = torch.rand(3, 4, generator=torch.Generator().manual_seed(3)) < 0.5
    policy = new_policy()
    for _ in range(150):
        masks = policy.draw(32)
        policy.update(masks, (masks != wanted).float().sum(dim=(1, 2)))
    assert torch.equal(policy.probabilities() > 0.5, wanted)
    assert 0 < wanted.sum() < 12


def test_drawn_sets_follow_the_probabilities() -> None:
    policy = new_policy()
    policy.logits.data[0] = 40.0
    policy.logits.data[1] = 0.0
    assert policy.probabilities().max().item() == pytest.approx(0.999)
    shares = policy.draw(2000).float().mean(dim=(0, 2))
    assert_close(shares, torch.tensor([0.999, 0.5, 0.2689]), 0.03)
    rare = policy.draw(2000, least_probability=0.8).float().mean(dim=(0, 2))
    assert_close(rare, torch.tensor([0.999, 0.0, 0.0]), 0.03)
    assert torch.equal(new_policy().draw(5), new_policy().draw(5))


def test_the_fit_keeps_the_best_of_the_final_sets(fitting: Fitting, monkeypatch: pytest.MonkeyPatch) -> None:
    finals: list[Tensor] = []
    draw = Policy.draw

    def listening(self: Policy, number: int, least_probability: float = 0.0) -> Tensor:
        masks = draw(self, number, least_probability)
        finals.append(masks)
        return masks

    monkeypatch.setattr(Policy, "draw", listening)
    fitted = fit(fitting, MTVConfig(**SMALL, held_out_examples=3))
    base, heads = fitting.backbone, fitted.report["heads"]
    prompts = [without_answer(one) for one in fitting.prompts(5, 2, "head averages")]
    means = last_token_activations(base, base.model, prompts, "head_output").mean(dim=0)
    asked = [fitting.ask(one) for one in fitting.held_out[:3]]
    losses = []
    for mask in finals[-1]:
        with replaced_by_hand(base.model, means, mask.nonzero().tolist()):
            losses.append(float(answer_starts(base, base.model, asked).losses.mean()))
    assert fitted.report["final_losses"] == pytest.approx(losses, rel=1e-4)
    assert heads == finals[-1][losses.index(min(losses))].nonzero().tolist()
    assert fitted.model.peft_config["default"].to_dict()["heads"] == heads
    assert fitted.report["forward_passes"] == 3 * 5 + 4 * 3
    for (_, layer), intervention in interventions(fitted.model).items():
        assert torch.equal(intervention.head_means, means[layer])  # type: ignore[arg-type]
        assert not torch.equal(intervention.head_logits, torch.full((6,), -1.0))  # type: ignore[arg-type]


def test_logits_are_not_stored(fitting: Fitting, tmp_path: Path) -> None:
    model = fitting.new_model(MTVConfig(heads=[[0, 1]]))
    model.save_pretrained(str(tmp_path), save_embedding_layers=False)
    stored = load_file(tmp_path / "adapter_model.safetensors")
    assert {key.rsplit(".", 1)[1] for key in stored} == {"head_means"}
    assert sum(tensor.numel() for tensor in model.parameters() if tensor.requires_grad) == 2 * 6


@pytest.mark.parametrize("budget, steps", [(21, 1), (25, 1), (26, 2), (1000, 3), (None, 3)])
def test_the_budget_bounds_the_steps(fitting: Fitting, budget: int | None, steps: int) -> None:
    """A step has five passes, the choice among four sets on four held-out examples sixteen."""
    assert affordable_steps(fitting, MTVConfig(**SMALL, budget=budget)) == steps


def test_a_budget_below_one_step_is_refused(fitting: Fitting) -> None:
    with pytest.raises(InputError, match="budget of 20 forward passes is below the 21 of one step.*at least 21"):
        fit(fitting, MTVConfig(**SMALL, budget=20))
    report = fit(fitting, MTVConfig(**SMALL, budget=27)).report
    assert (report["steps"], report["forward_passes"], len(report["losses"])) == (2, 26, 2)


def test_layers_to_transform_bounds_the_search(fitting: Fitting) -> None:
    fitted = fit(fitting, MTVConfig(**SMALL, layers_to_transform=1))
    assert {layer for layer, _ in fitted.report["heads"]} <= {1}
    assert list(interventions(fitted.model)) == [("head_output", 1)]


@pytest.mark.parametrize("options, words", [
    ({"masks": 1}, "masks is 1; rewards are compared, so it must be at least 2"),
    ({"learning_rate": 0.0}, "learning_rate is 0.0; it must be above 0"),
    ({"least_probability": 1.0}, "least_probability is 1.0; give 0 or more, below 1"),
    ({"answer_tokens": "last"}, "answer_tokens is .last.; choose .first. or .all."),
    ({"heads": [[1]]}, r"heads has \[1\]"),
])  # fmt: skip
def test_wrong_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        MTVConfig(**options)


def test_numbers_of_the_procedure() -> None:
    config = MTVConfig()
    assert (config.shots, config.prompts, config.pool, config.steps, config.masks) == (4, 100, 100, 600, 32)
    assert (config.learning_rate, config.final_masks, config.held_out_examples) == (0.1, 10, 50)
