"""Against an independent attention: a plain model whose softmax, written out in float64 here, has the pairs in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from .catalogue import TWINS
from .probes import adapted, adapter_parameters, assert_rows_close, budget, row_logits, samples
from .twins import collate

NAME = "written_out"


def written_out(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """One softmax per query head over its pairs, the visible real keys and, where the model has one, a sink."""
    pairs = getattr(module, "pairs_of_heads", None)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    group = query.shape[1] // key.shape[1]
    outputs = []
    for head in range(query.shape[1]):
        queries = query[:, head].double()
        keys, values = key[:, head // group].double(), value[:, head // group].double()
        scores = queries @ keys.mT * scale
        if softcap is not None:
            scores = softcap * torch.tanh(scores / softcap)
        if attention_mask is not None:
            scores = scores + attention_mask.expand(-1, query.shape[1], -1, -1)[:, head, :, : keys.shape[1]]
        if pairs is not None:
            learned_keys, learned_values = (part[head].double() for part in pairs)
            learned = queries @ learned_keys.T * scale
            if softcap is not None:
                learned = softcap * torch.tanh(learned / softcap)
            scores = torch.cat([learned, scores], -1)
            values = torch.cat([learned_values.expand(len(values), -1, -1), values], 1)
        weights = (scores - scores.amax(-1, keepdim=True)).exp()
        total = weights.sum(-1, keepdim=True)
        if s_aux is not None:
            total = total + (s_aux[head].double() - scores.amax(-1, keepdim=True)).exp()
        outputs.append((weights / total) @ values)
    return torch.stack(outputs, 2).to(query.dtype), None


@pytest.fixture(autouse=True, scope="module")
def registered() -> Iterator[None]:
    AttentionInterface.register(NAME, written_out)
    AttentionMaskInterface.register(NAME, eager_mask)
    yield
    del AttentionInterface._global_mapping[NAME], AttentionMaskInterface._global_mapping[NAME]
    assert NAME not in ALL_ATTENTION_FUNCTIONS


def give_pairs(reference: nn.Module, name: str) -> int:
    """Multiply out the factors of adapter "a" and lay them on the same modules of a plain model; return how many."""
    factors: dict[str, list[Tensor]] = {}
    for key, parameter in sorted(adapter_parameters(adapted(name), "a")):
        site = key.removeprefix("base_model.model.").split(".hificl_")[0].rsplit(".", 1)[0]
        factors.setdefault(site, []).append(parameter.detach().double())
    for site, (key_a, key_b, value_a, value_b) in factors.items():
        reference.get_submodule(site).pairs_of_heads = (key_a @ key_b, value_a @ value_b)
    return len(factors)


@pytest.mark.parametrize("name", TWINS)
def test_logits_are_those_of_the_joint_softmax(name: str) -> None:
    reference = TWINS[name].build()
    reference.set_attn_implementation(NAME)
    assert give_pairs(reference, name) >= 2
    for padding in ("left", "right"):
        batch = collate(samples(name), padding)
        positions = TWINS[name].positions(batch["attention_mask"])
        expected = row_logits(reference, batch, **positions)
        actual = row_logits(adapted(name), batch, **positions)
        assert_rows_close(actual, expected, budget(name), f"{name}, padded {padding}")
