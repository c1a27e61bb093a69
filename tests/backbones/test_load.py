"""Loading: frozen models from folders, their prompt form and image settings, and clear refusals."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from backbones import tiny_models
from hificl.backbones import BACKBONES, Backbone, load_backbone
from hificl.errors import InputError


@pytest.fixture
def folder(llava_folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(llava_folder, tmp_path / "model"))


def test_loaded_model_is_frozen_and_in_eval_mode(backbone: Backbone, llava_folder: Path) -> None:
    assert not any(parameter.requires_grad for parameter in backbone.model.parameters())
    assert not any(module.training for module in backbone.model.modules())
    assert backbone.device.type == "cpu"
    assert backbone.model.dtype == torch.float32
    assert backbone.name == str(llava_folder)
    assert backbone.revision.startswith("content:")
    assert backbone.takes_images


def test_embedded_form_ends_answers_with_a_newline(backbone: Backbone) -> None:
    assert backbone.family is BACKBONES["embedded"]
    assert backbone.prompt == BACKBONES["embedded"].prompt
    assert backbone.tokenizer.decode(list(backbone.end_ids)) == "\n"


def test_chat_template_decides_the_form_the_join_and_the_end(chat_backbone: Backbone) -> None:
    assert chat_backbone.family.name == "llava"
    assert chat_backbone.prompt.chat
    assert chat_backbone.answer_text("red") == " red"
    assert chat_backbone.tokenizer.convert_ids_to_tokens(list(chat_backbone.end_ids)) == ["<|end|>"]


def test_text_model_gets_a_plain_form_and_its_end_token(text_backbone: Backbone) -> None:
    assert not text_backbone.takes_images
    assert text_backbone.prompt.name == "default-plain"
    assert text_backbone.end_ids == (text_backbone.tokenizer.eos_token_id,)


def test_dtype_and_attention_are_passed_on(llava_folder: Path) -> None:
    loaded = load_backbone(llava_folder, device="cpu", dtype="bfloat16", attn_implementation="eager")
    assert loaded.model.dtype == torch.bfloat16
    assert loaded.text_config._attn_implementation == "eager"


def test_image_settings_of_the_family_reach_the_processor(tmp_path: Path) -> None:
    tiny_models.save_idefics2(tmp_path)
    config = tmp_path / "processor_config.json"
    stored = json.loads(config.read_text())
    stored["image_processor"]["do_image_splitting"] = True
    config.write_text(json.dumps(stored))
    assert load_backbone(tmp_path, device="cpu").processor.image_processor.do_image_splitting is False


def test_context_limit_is_the_smaller_of_model_and_tokenizer(folder: Path) -> None:
    assert load_backbone(folder, device="cpu").context_limit == 311
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"model_max_length": 77}))
    assert load_backbone(folder, device="cpu").context_limit == 77


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/model", "a/b/c"])
def test_missing_folder(name: str) -> None:
    with pytest.raises(InputError, match=f"'{name}': no such model folder"):
        load_backbone(name)


def test_unknown_hub_id_without_network_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match=r"no-such-model: the config could not be read \(the hub is switched off"):
        load_backbone("nobody/no-such-model")


def test_hub_models_come_from_the_cache_with_their_commit(llava_folder: Path, tmp_path: Path) -> None:
    """And one that has pickled weights only is refused; a fresh process, as the hub's folders are fixed on import."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    for name in ("good", "pickled"):
        home = tmp_path / f"models--someone--{name}"
        shutil.copytree(llava_folder, home / "snapshots" / commit)
        (home / "refs").mkdir()
        (home / "refs" / "main").write_text(commit)
    snapshot = tmp_path / "models--someone--pickled" / "snapshots" / commit
    (snapshot / "model.safetensors").rename(snapshot / "pytorch_model.bin")
    code = (
        "from hificl.backbones import load_backbone\n"
        "from hificl.errors import InputError\n"
        "loaded = load_backbone('someone/good', device='cpu')\n"
        "print(loaded.name, loaded.revision, loaded.family.name)\n"
        "try: load_backbone('someone/pickled')\n"
        "except InputError as error: print(error)\n"
    )
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    good, pickled = done.stdout.strip().splitlines()[-2:]
    assert good == f"someone/good {commit} embedded"
    assert pickled.startswith("someone/pickled: the weights could not be read")
    assert "safetensors" in pickled


def test_unknown_model_type_is_refused_before_loading(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "lllava"}))
    with pytest.raises(InputError, match="did you mean 'llava'"):
        load_backbone(folder)


def test_a_model_that_does_not_write_text_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config["vision_config"]))
    with pytest.raises(InputError, match="'siglip_vision_model' model neither reads images and text nor"):
        load_backbone(folder)


def test_missing_tensors_are_not_filled_with_noise(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    lost = next(name for name in sorted(tensors) if "k_proj.weight" in name and "language" in name)
    tensors.pop(lost)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lack 1 tensors of the model, first '.*k_proj\.weight'"):
        load_backbone(folder)


def test_tensors_of_another_size_are_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["intermediate_size"] = 81
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="the weights could not be read"):
        load_backbone(folder)


def test_missing_processor_is_named(folder: Path) -> None:
    (folder / "processor_config.json").unlink()
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InputError, match="the processor could not be read"):
        load_backbone(folder)


@pytest.mark.parametrize(
    "option, value, message",
    [
        ("dtype", "float99", "dtype 'float99' is not a floating dtype"),
        ("dtype", "int64", "dtype 'int64' is not a floating dtype"),
        ("device", "abacus", "device 'abacus' is unknown"),
    ],
)
def test_bad_options(llava_folder: Path, option: str, value: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_backbone(llava_folder, **{option: value})  # type: ignore[arg-type]
