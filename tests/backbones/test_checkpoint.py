"""Model folders that must not be loaded, and the revision of those that may."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hificl.backbones.checkpoint import check_folder, check_model_type, check_safetensors, content_revision
from hificl.errors import InputError

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(llava_folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(llava_folder, tmp_path / "model"))


def test_a_whole_folder_gives_its_config(folder: Path) -> None:
    assert check_folder(folder)["model_type"] == "llava"


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such model folder; give"):
        check_folder(tmp_path / "nowhere")


def test_missing_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"config\.json: no such file; .*save_pretrained"):
        check_folder(folder)


def test_broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json: not valid JSON"):
        check_folder(folder)


def test_pickled_weights_are_refused_by_name(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pickled \(pytorch_model\.bin\).*convert them to safetensors"):
        check_folder(folder)


def test_no_weights_at_all(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    with pytest.raises(InputError, match=r"no model\.safetensors"):
        check_folder(folder)


@pytest.mark.parametrize("change", [-7, 11])
def test_cut_or_extended_weights_show_both_sizes(folder: Path, change: int) -> None:
    file = folder / WEIGHTS
    size = file.stat().st_size
    data = file.read_bytes()
    file.write_bytes(data[:change] if change < 0 else data + b"x" * change)
    with pytest.raises(InputError, match=f"has {size + change} bytes and its header promises {size}"):
        check_folder(folder)


@pytest.mark.parametrize("data", [b"", b"abc", b"\xff" * 64])
def test_a_file_shorter_than_its_header(tmp_path: Path, data: bytes) -> None:
    (tmp_path / WEIGHTS).write_bytes(data)
    with pytest.raises(InputError, match=f"{len(data)} bytes, fewer than its own header needs"):
        check_safetensors(tmp_path / WEIGHTS)


def test_missing_shard_is_named(folder: Path) -> None:
    index = {"weight_map": {"a": WEIGHTS, "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=r"model-00002-of-00002\.safetensors: this part of the weights is missing"):
        check_folder(folder)


def test_unknown_model_type_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"here: .*unknown model type 'lava'; did you mean 'llava'\?"):
        check_model_type({"model_type": "lava"}, ["bert", "llava"], "here")


def test_remote_code_is_refused() -> None:
    config = {"model_type": "own", "auto_map": {"AutoModel": "modeling_own.Own"}}
    with pytest.raises(InputError, match="'own' needs code from the checkpoint itself, which hificl never runs"):
        check_model_type(config, ["llava"], "here")


def test_revision_is_that_of_the_content_not_of_the_place(llava_folder: Path, folder: Path) -> None:
    assert content_revision(folder) == content_revision(llava_folder)


def test_revision_changes_with_one_weight(folder: Path) -> None:
    before = content_revision(folder)
    tensors = load_file(folder / WEIGHTS)
    name = sorted(tensors)[3]
    tensors[name].view(-1)[5] += 1e-3
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    assert content_revision(folder) != before


def test_revision_changes_with_the_tokenizer(folder: Path) -> None:
    before = content_revision(folder)
    content = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(content.replace("red", "rod", 1))
    assert content_revision(folder) != before


def test_large_files_are_hashed_by_samples_up_to_their_last_byte(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    file = tmp_path / WEIGHTS
    save_file({"a": torch.zeros(17 * 2**20)}, file)
    assert file.stat().st_size > 64 * 2**20
    before = content_revision(tmp_path)
    with file.open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\x01")
    assert content_revision(tmp_path) != before
