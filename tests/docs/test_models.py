"""The page about models names what exists, and its numbers are those of the library."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hificl.backbones import BACKBONES, build_on_meta, load_backbone
from hificl.methods import METHODS
from hificl.tasks import TASKS

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\S+/\S+) \| `([\w-]+)` \| ([\d,]+) \| ([\d.]+) GB \| ([\d,]+) \|", PAGE, flags=re.MULTILINE)


def test_every_hub_model_of_a_command_belongs_to_a_family() -> None:
    named = re.findall(r"--model (\w[\w-]+/[\w.-]+) --data", PAGE)
    published = {hub_id for family in BACKBONES.values() for hub_id in family.hub_ids}
    assert len(named) == 4
    assert set(named) <= published


def test_commands_name_tasks_and_methods_that_exist() -> None:
    assert {"capitals"} == set(re.findall(r"--task (\w+)", PAGE)) <= TASKS.keys()
    assert set(re.findall(r"--method (\w+)", PAGE)) <= METHODS.keys()
    assert set(re.findall(r"^\| `([\w-]+)`", PAGE, flags=re.MULTILINE)) <= {*BACKBONES, *TASKS}


def test_the_size_of_the_embedded_model_is_that_of_its_file() -> None:
    stated = re.search(r"^\| `embedded` \| .* of ([\d.]+) M parameters", PAGE, flags=re.MULTILINE)
    count = sum(parameter.numel() for parameter in load_backbone("embedded").model.parameters())
    assert stated is not None
    assert stated[1] == f"{count / 1e6:.1f}"


@pytest.mark.parametrize("hub_id, name, parameters, gigabytes, adapter", ROWS, ids=[row[1] for row in ROWS])
def test_sizes_are_those_of_the_geometry(hub_id: str, name: str, parameters: str, gigabytes: str, adapter: str) -> None:
    family = BACKBONES[name]
    assert hub_id in family.hub_ids
    model = build_on_meta(family)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert (f"{count:,}", f"{2 * count / 1e9:.1f}") == (parameters, gigabytes)
    text = model.config.get_text_config(decoder=True)
    head_dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    # Two factored matrices per query head and layer, of n = 8 pairs at rank 8.
    assert f"{2 * text.num_hidden_layers * text.num_attention_heads * 8 * (8 + head_dim):,}" == adapter


def test_the_table_was_found() -> None:
    assert len(ROWS) == 5
