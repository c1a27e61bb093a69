"""The adapter for lmms-eval against a stand-in of its interface: registry, base class, requests, evaluator."""

from __future__ import annotations

import abc
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from backbones import tiny_models
from hificl.backbones import load_backbone
from hificl.data import Example
from hificl.errors import InputError
from hificl.evaluation import Decoding, generate_answers
from hificl.evaluation.likelihood import answer_loss


@dataclass(frozen=True)
class ModelManifest:
    model_id: str
    simple_class_path: str | None = None
    chat_class_path: str | None = None
    aliases: tuple[str, ...] = ()


@dataclass
class GenerationResult:
    text: str
    token_counts: Any = None


class Hook:
    def __init__(self) -> None:
        self.kept: list[tuple[Any, ...]] = []

    def add_partial(self, attribute: str, request: Any, result: Any) -> None:
        self.kept.append((attribute, request, result))


class Lmms(abc.ABC):
    is_simple = True

    def __init__(self) -> None:
        self.cache_hook = Hook()
        self.task_dict: dict[str, Any] = {}

    @abc.abstractmethod
    def loglikelihood(self, requests: Any) -> Any: ...

    @abc.abstractmethod
    def generate_until(self, requests: Any) -> Any: ...

    @abc.abstractmethod
    def generate_until_multi_round(self, requests: Any) -> Any: ...


@dataclass
class Request:
    args: tuple[Any, ...]


def handed_on(output: Any) -> Any:
    """What the evaluator makes of a result."""
    if isinstance(output, GenerationResult):
        return output.text
    return output if isinstance(output, str | list) else str(output)


@pytest.fixture
def lmms_eval(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    parts: dict[str, dict[str, Any]] = {
        "lmms_eval": {},
        "lmms_eval.api": {},
        "lmms_eval.api.model": {"lmms": Lmms},
        "lmms_eval.api.instance": {"GenerationResult": GenerationResult},
        "lmms_eval.models": {},
        "lmms_eval.models.registry_v2": {"ModelManifest": ModelManifest},
    }
    for name, content in parts.items():
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    yield
    sys.modules.pop("hificl.lmms_eval_model", None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("model")
    tiny_models.save_llava(made)
    return made


@pytest.fixture
def model(lmms_eval: None, folder: Path) -> Any:
    """As the evaluator makes it: arguments of the command line, then its own."""
    from hificl.lmms_eval_model import HificlModel

    made = HificlModel(pretrained=str(folder), batch_size="2", max_batch_size=None, device="cpu")
    colours = ("red", "green", "blue", "white", "black")
    made.task_dict = {"t": {"test": [{"image": Image.new("RGB", (31 + 5 * n, 20), c)} for n, c in enumerate(colours)]}}
    return made


def visuals(document: dict[str, Any]) -> list[Image.Image]:
    return [document["image"]]


def requests(count: int, settings: dict[str, Any]) -> list[Request]:
    return [Request((f"what color{' shape' * n}?", settings, visuals, n, "t", "test")) for n in range(count)]


def test_the_entry_point_gives_a_manifest_of_a_simple_model(lmms_eval: None) -> None:
    from hificl.lmms_eval import manifest

    found = manifest()
    assert found == ModelManifest("hificl", simple_class_path="hificl.lmms_eval_model.HificlModel")
    module, _, name = found.simple_class_path.rpartition(".")
    __import__(module)
    kind = getattr(sys.modules[module], name)
    assert issubclass(kind, Lmms)
    assert kind.is_simple
    assert not kind.__abstractmethods__


def test_answers_are_those_of_hificl_in_the_order_of_the_requests(model: Any, folder: Path) -> None:
    """Two kinds of generation arguments are asked in turns."""
    asked = requests(5, {})
    beams = {"num_beams": 2, "max_new_tokens": 3, "until": ["no"], "temperature": 0, "do_sample": False}
    for n, request in enumerate(asked):
        settings = beams if n % 2 else {"max_new_tokens": 4, "until": "\n\n"}
        request.args = (request.args[0], settings, *request.args[2:])
    answers = model.generate_until(asked)
    backbone = load_backbone(folder, device="cpu")
    for n, (request, answer) in enumerate(zip(asked, answers, strict=True)):
        example = Example("x", visuals(model.task_dict["t"]["test"][n]), request.args[0], [])
        search = Decoding(num_beams=2, max_new_tokens=3) if n % 2 else Decoding(max_new_tokens=4)
        expected = generate_answers(backbone, backbone.model, [example], decoding=search).texts[0]
        assert answer == (expected.split("no")[0].strip() if n % 2 else expected)
    assert len(set(answers)) > 1
    assert sorted(kept[2] for kept in model.cache_hook.kept) == sorted(answers)


def test_image_marks_of_a_task_are_taken_out(model: Any) -> None:
    plain, marked = requests(1, {"max_new_tokens": 3}), requests(1, {"max_new_tokens": 3})
    marked[0].args = ("<image>\nwhat color?", *marked[0].args[1:])
    assert model.generate_until(marked) == model.generate_until(plain)


def test_choices_are_ranked_by_mean_loss_and_survive_the_evaluator(model: Any, folder: Path) -> None:
    words = (" red", " light blue", " circle")
    asked = [Request((f"what color{' shape' * n}?", word, visuals, n, "t", "test")) for n in range(2) for word in words]
    asked.append(Request(("what color?", lambda document: "yes", visuals, 3, "t", "test")))
    asked.append(Request(("", "yes")))
    found = [handed_on(one) for one in model.loglikelihood(asked)]
    backbone = load_backbone(folder, device="cpu")
    for (loss, greedy), request in zip(found[:6], asked[:6], strict=True):
        example = Example("x", visuals(model.task_dict["t"]["test"][request.args[3]]), request.args[0], [])
        expected = answer_loss(backbone, backbone.model, example, request.args[1].strip())
        assert loss == pytest.approx(expected.total / expected.tokens)
        assert greedy is expected.greedy
    assert found[6][0] != found[7][0]


def test_rounds_follow_what_the_task_makes_of_the_answers(model: Any) -> None:
    seen: list[tuple[Any, ...]] = []

    def following(
        document: dict[str, Any], previous_output: list[str], round_idx: int, previous_round_info: Any
    ) -> Any:
        seen.append((list(previous_output), round_idx, previous_round_info))
        over = round_idx == 2
        return (None if over else visuals(document), "yes. no?", over, previous_output, {"round": round_idx})

    asked = [Request(("what color?", {"max_new_tokens": 3}, visuals, following, n, "t", "test")) for n in range(2)]
    first, second = model.generate_until_multi_round(asked)
    assert [len(first), len(second)] == [2, 2]
    assert seen[:2] == [(first[:1], 1, None), (first, 2, {"round": 1})]
    assert first[0] == model.generate_until(requests(1, {"max_new_tokens": 3}))[0]


def test_videos_are_refused_by_name(model: Any) -> None:
    asked = requests(2, {})
    asked[1].args = (asked[1].args[0], {}, lambda document: ["film.mp4"], 1, "t", "test")
    with pytest.raises(InputError, match="sample 't/test/1/1': a str in place of an image"):
        model.generate_until(asked)


def test_a_form_that_asks_in_its_own_words_leaves_those_of_the_task_out(lmms_eval: None, tmp_path: Path) -> None:
    from hificl.lmms_eval_model import HificlModel

    tiny_models.save_paligemma(tmp_path)
    made = HificlModel(pretrained=str(tmp_path), kind="caption", device="cpu")
    made.task_dict = {"t": {"test": [{"image": Image.new("RGB", (20, 20))}]}}
    one, other = requests(2, {"max_new_tokens": 3})
    other.args = ("Describe!", *one.args[1:])
    assert made.generate_until([one]) == made.generate_until([other])


@pytest.mark.parametrize("given", [{}, {"adapter": "a", "pretrained": "b"}])
def test_one_of_adapter_and_pretrained(lmms_eval: None, given: dict[str, Any]) -> None:
    from hificl.lmms_eval_model import HificlModel

    with pytest.raises(InputError, match="give one of --model_args adapter=DIR or pretrained=NAME"):
        HificlModel(**given)
