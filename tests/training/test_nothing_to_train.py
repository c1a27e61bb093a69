"""An adapter without pairs has nothing to train, and says so before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from hificl import TASKS, load_backbone, train
from hificl.errors import InputError
from hificl.training import plan


def test_no_pairs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="num_virtual_tokens is 0, so hificl has nothing to train"):
        train(
            load_backbone("embedded"),
            TASKS["easy_vqa"].load().support,
            output_dir=tmp_path / "run",
            num_virtual_tokens=0,
        )
    assert not (tmp_path / "run").exists()


def test_a_plan_names_attention_modules() -> None:
    targets = plan(load_backbone("embedded"), TASKS["easy_vqa"].load().support).targets
    assert targets[0] == "model.language_model.layers.0.self_attn"
