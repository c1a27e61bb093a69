"""Every site is found in every family, and what stands there is what its name says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from closeness import assert_same
from hificl.tuner import SITES, Place, find_places, on_place

from .catalogue import TWINS
from .probes import row_logits, samples
from .twins import collate

LAYERS = {"gemma3": 3, "hrm_text": 4}
"""Layers with self-attention, where they are not two; Mllama has three, of which one looks at the image."""

NOT_PLAIN_SUMS = {
    "gemma2": "a norm after attention and one after the feed-forward",
    "gemma3": "likewise",
    "glm4v": "likewise",
    "granite": "both are multiplied before they are added",
}
"""Families in which a layer adds something else than the two outputs: why."""

GATED = {"hrm_text": "a gate stands between the heads and the output projection"}
"""Families in which the outputs of the heads do not go straight into the output projection: why."""

FOREIGN = ("vision", "visual", "perceiver", "resampler", "connector", "projector", "qformer", "cross")


def places_of(model: nn.Module) -> dict[tuple[str, int], Place]:
    return {(site, place.layer): place for site in SITES for place in find_places(model, site)}


def captured(model: nn.Module, batch: dict[str, Tensor]) -> dict[tuple[str, int], list[Tensor]]:
    """Run a model and return what stood at every place, call by call: some models use a layer several times."""
    found: dict[tuple[str, int], list[Tensor]] = {}

    def keeper(key: tuple[str, int]) -> Callable[[Tensor], None]:
        return lambda activation: found.setdefault(key, []).append(activation.clone())

    handles = [on_place(model, place, keeper(key)) for key, place in places_of(model).items()]
    row_logits(model, batch)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("name", TWINS)
def test_as_many_places_as_layers_and_shapes_as_told(name: str) -> None:
    model, batch = TWINS[name].build(), collate(samples(name))
    places, found = places_of(model), captured(model, batch)
    assert set(places) == {(site, layer) for site in SITES for layer in range(LAYERS.get(name, 2))}
    assert not [place.name for place in places.values() if any(part in place.name for part in FOREIGN)]
    assert len({place.name for place in places.values()}) == 3 * LAYERS.get(name, 2)
    rows = batch["input_ids"].shape
    for key, place in places.items():
        size = (place.heads, place.head_dim) if place.site == "head_output" else (place.hidden,)
        assert {tuple(tensor.shape) for tensor in found[key]} == {(*rows, *size)}, key


@pytest.mark.parametrize("name", TWINS)
def test_a_layer_adds_its_attention_and_its_feed_forward(name: str) -> None:
    model, batch = TWINS[name].build(), collate(samples(name))
    inputs: dict[int, list[Tensor]] = {}

    def keeper(layer: int) -> Callable[..., None]:
        return lambda _, args, kwargs: inputs.setdefault(layer, []).append((args or [kwargs["hidden_states"]])[0])

    for place in find_places(model, "residual"):
        model.get_submodule(place.name).register_forward_pre_hook(keeper(place.layer), with_kwargs=True)
    found = captured(model, batch)
    for layer, calls in inputs.items():
        for call, before in enumerate(calls):
            parts = [found[site, layer][call] for site in ("attention_output", "mlp_output")]
            after = found["residual", layer][call]
            distance = (after - before - sum(parts)).abs().max() / after.abs().max()
            rounds = distance <= 4 * torch.finfo(after.dtype).eps  # in another order of the sum
            assert rounds.item() is not (name in NOT_PLAIN_SUMS), f"{name}, layer {layer}: {distance:.1e}"


@pytest.mark.parametrize("name", TWINS)
def test_head_outputs_are_the_input_of_one_projection(name: str) -> None:
    model, batch = TWINS[name].build(), collate(samples(name))
    places = find_places(model, "head_output")
    attention = model.get_submodule(places[-1].name)
    inputs: dict[str, list[Tensor]] = {}

    def keeper(child: str) -> Callable[..., None]:
        return lambda _, args: inputs.setdefault(child, []).append(args[0].clone()) if args else None

    for child, module in attention.named_modules():
        if child:
            module.register_forward_pre_hook(keeper(child))
    found = captured(model, batch)["head_output", places[-1].layer]
    same = [
        child
        for child, seen in inputs.items()
        if len(seen) == len(found) and all(map(torch.equal, map(torch.flatten, seen), map(torch.flatten, found)))
    ]
    assert len(same) == (0 if name in GATED else 1), f"{name}: {same} of {list(inputs)}"


@pytest.mark.parametrize("name", TWINS)
def test_a_silenced_feed_forward_is_one_patched_by_hand(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = TWINS[name].build(), collate(samples(name))
    plain = row_logits(model, batch)
    place = find_places(model, "mlp_output")[-1]
    handle = on_place(model, place, torch.zeros_like)
    silenced = row_logits(model, batch)
    handle.remove()
    module = model.get_submodule(place.name)
    forward = module.forward

    def by_hand(*args: Any, **kwargs: Any) -> Any:
        output = forward(*args, **kwargs)
        return (torch.zeros_like(output[0]), *output[1:]) if isinstance(output, tuple) else torch.zeros_like(output)

    monkeypatch.setattr(module, "forward", by_hand)
    for row, expected, before in zip(silenced, row_logits(model, batch), plain, strict=True):
        assert_same(row, expected, name)
        assert not torch.equal(row, before)


@pytest.mark.parametrize("name", TWINS)
def test_looking_changes_nothing_and_leaves_nothing(name: str) -> None:
    model, batch = TWINS[name].build(), collate(samples(name))
    plain = row_logits(model, batch)
    configs = {path: part.config for path, part in model.named_modules() if hasattr(part, "config")}
    hooks = [(list(part._forward_hooks), list(part._forward_pre_hooks)) for part in model.modules()]
    handles = [on_place(model, place, lambda _: None) for place in places_of(model).values()]
    for row, expected in zip(row_logits(model, batch), plain, strict=True):
        assert_same(row, expected, name)
    for handle in (*handles, *handles):
        handle.remove()
    assert [(list(part._forward_hooks), list(part._forward_pre_hooks)) for part in model.modules()] == hooks
    assert all(model.get_submodule(path).config is config for path, config in configs.items())


@pytest.mark.parametrize("kernel", ["sdpa", "eager"])
def test_functions_run_in_order_and_see_what_the_one_before_made(kernel: str) -> None:
    model, batch = TWINS["llama"].build(kernel), collate(samples("llama"))
    for site in SITES:
        place = find_places(model, site)[0]
        seen: list[Tensor] = []
        handles = [
            on_place(model, place, lambda activation, into=seen: into.append(activation)),
            on_place(model, place, lambda activation: activation * 3.0),
            on_place(model, place, lambda activation, into=seen: into.append(activation)),
        ]
        row_logits(model, batch)
        for handle in handles:
            handle.remove()
        assert_same(seen[1], 3.0 * seen[0], site)
