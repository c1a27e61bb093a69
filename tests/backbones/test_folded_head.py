"""In half precision the output embedding multiplies all rows at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from hificl.adapters.stored import new_adapter
from hificl.backbones import load_backbone
from hificl.backbones.control import random_language_model
from hificl.tuner import HiFICLConfig


class Products(TorchDispatchMode):
    """Notes the shapes of what matrix products return, where it is as wide as the vocabulary."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.vocabulary, self.shapes = vocabulary, []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if function in (torch.ops.aten.mm.default, torch.ops.aten.bmm.default) and result.shape[-1] == self.vocabulary:
            self.shapes.append(tuple(result.shape))
        return result


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_kept_positions_of_all_samples_are_one_product_in_half_precision(dtype: str, llava_folder: Path) -> None:
    backbone = load_backbone(llava_folder, device="cpu", dtype=dtype)
    vocabulary = backbone.text_config.vocab_size
    ids = torch.arange(21).reshape(3, 7)
    adapted = new_adapter(backbone, HiFICLConfig(num_virtual_tokens=3))
    for model in (backbone.model, adapted, random_language_model(backbone).model):
        plain = model(input_ids=ids).logits
        with Products(vocabulary) as products:
            logits = model(input_ids=ids, logits_to_keep=2).logits
        assert products.shapes == [(6, vocabulary) if dtype == "bfloat16" else (3, 2, vocabulary)]
        torch.testing.assert_close(logits, plain[:, -2:], rtol=2e-2, atol=2e-2)
