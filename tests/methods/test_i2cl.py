"""I2CL: the identity at (0, 1), its formula, noise while it trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model, get_peft_model_state_dict
from torch import Tensor, nn

from closeness import assert_close, assert_same
from hificl.backbones import encode
from hificl.methods.fitting import Fitting
from hificl.methods.i2cl import NOISE, ContextMixture, I2CLConfig, prepare
from hificl.tuner import Call, interventions
from methods.small_decoder import HIDDEN, LAYERS, adapted, logits, small_decoder
from training.tiny import colour_examples, load_tiny, save_tiny_llava

SITES = ("attention_output", "mlp_output")


def mixtures(model: PeftModel, weights: tuple[float, float] | None = None) -> dict[tuple[str, int], Any]:
    """The mixtures of a model, with random vectors and, if given, the same weights everywhere."""
    found: dict[tuple[str, int], Any] = interventions(model)
    generator = torch.Generator().manual_seed(3)
    for mixture in found.values():
        mixture.context_vector.normal_(generator=generator)
        if weights is not None:
            mixture.mixture_weights.data = torch.tensor(weights, dtype=mixture.mixture_weights.dtype)
    return found


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_zero_and_one_are_the_identity(dtype: torch.dtype) -> None:
    model = adapted(I2CLConfig(), dtype)
    mixtures(model, (0.0, 1.0))
    assert_same(logits(model), logits(small_decoder(dtype)))


def test_i2cl_is_its_formula() -> None:
    model = adapted(I2CLConfig())
    found = mixtures(model)
    assert set(found) == {(site, layer) for site in SITES for layer in range(LAYERS)}
    base = small_decoder()
    for index, layer in enumerate(base.model.layers):
        for site, module in zip(SITES, (layer.self_attn, layer.mlp), strict=True):
            of_context, of_output = found[site, index].mixture_weights.detach()
            added = of_context * found[site, index].context_vector

            def mix(module: nn.Module, args: Any, output: Any, b: Tensor = of_output, av: Tensor = added) -> Any:
                return (b * output[0] + av, *output[1:]) if isinstance(output, tuple) else b * output + av

            module.register_forward_hook(mix)
    expected = logits(base)
    assert_close(logits(model), expected, 1e-12 * expected.abs().max().item(), "logits")


def test_noise_in_training_only() -> None:
    """A thousandth of the norm of every position, from torch's generator."""
    mixture = ContextMixture(401)
    activation = 7.0 * torch.randn(3, 29, 401)
    call = Call(is_prefill=True)
    clean = mixture.eval()(activation, call)
    assert_same(mixture(activation, call), clean)
    noisy = mixture.train()(activation, call)
    share = (noisy - clean).std(dim=-1) / clean.norm(dim=-1)
    assert share.mean().item() == pytest.approx(NOISE, rel=0.03)
    assert not torch.equal(mixture(activation, call), noisy)


def test_initial_values_and_numbers() -> None:
    """(0.1, 1.0) for every module; the vectors are stored but not trained."""
    model = get_peft_model(small_decoder(torch.float32), I2CLConfig())
    for mixture in interventions(model).values():
        assert isinstance(mixture, ContextMixture)
        assert mixture.mixture_weights.tolist() == pytest.approx([0.1, 1.0])
        assert not mixture.context_vector.any()
    assert sum(tensor.numel() for tensor in model.parameters() if tensor.requires_grad) == 4 * LAYERS
    stored = get_peft_model_state_dict(model)
    assert sum(tensor.numel() for tensor in stored.values()) == 2 * LAYERS * HIDDEN + 4 * LAYERS


def test_vectors_are_means_over_demonstrations_run_alone(tmp_path: Path) -> None:
    """The last token of question and answer, one example per forward, without any padding."""
    backbone = load_tiny(save_tiny_llava(tmp_path))
    examples = colour_examples(5)
    fitting = Fitting(backbone, examples, [], "exact_match")
    model = fitting.new_model(I2CLConfig())
    assert prepare(fitting, model) == {"demonstrations": 5}

    seen: dict[tuple[str, int], list[Tensor]] = {}
    decoder = backbone.model.get_decoder()
    for index, layer in enumerate(decoder.layers):
        for site, module in zip(SITES, (layer.self_attn, layer.mlp), strict=True):

            def keep(module: nn.Module, args: Any, output: Any, key: tuple[str, int] = (site, index)) -> None:
                seen.setdefault(key, []).append((output[0] if isinstance(output, tuple) else output)[0, -1])

            module.register_forward_hook(keep)
    with torch.no_grad():
        for example in examples:
            alone = encode(backbone, example, answer=example.answers[0])
            ids = torch.tensor([[*alone.input_ids, *alone.answer_ids[: -len(backbone.end_ids)]]])
            backbone.model(input_ids=ids, **alone.inputs)
    found: dict[tuple[str, int], Any] = interventions(model)
    for key, mixture in found.items():
        expected = torch.stack(seen[key]).mean(dim=0)
        budget = 1e-4 * expected.abs().max().item()
        assert_close(mixture.context_vector, expected, budget, str(key))
