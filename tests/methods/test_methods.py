from __future__ import annotations

import subprocess
import sys

import pytest

from hificl.errors import InputError
from hificl.methods import METHODS
from hificl.methods.hificl import peft_config


def test_names_and_order() -> None:
    names = ["zero_shot", "icl", "lora", "prefix_tuning", "task_vector", "function_vector", "icv", "i2cl", "mtv"]
    assert list(METHODS) == [*names, "live", "mimic", "m2iv", "hificl"]
    for name, method in METHODS.items():
        assert method.name == name
        assert method.description
        assert method.source


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.kind != "prompt"])
def test_every_method_that_acts_inside_has_a_file(name: str) -> None:
    implementation = METHODS[name].implementation
    assert callable(implementation.peft_config)
    assert callable(getattr(implementation, "fit", None)) == (METHODS[name].kind == "fitted")


def test_a_prompt_has_no_config() -> None:
    with pytest.raises(InputError, match="icl changes nothing but the prompt"):
        METHODS["icl"].peft_config(None, {})  # type: ignore[arg-type]


def test_methods_cannot_be_changed() -> None:
    assert not hasattr(METHODS, "__setitem__")


def test_listing_needs_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; from hificl.methods import METHODS; print(*METHODS)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == list(METHODS), done.stderr


def test_hificl_numbers_of_the_paper() -> None:
    config = peft_config(None, {"r": 5})  # type: ignore[arg-type]
    assert (config.num_virtual_tokens, config.r, config.share, config.mixing) == (8, 5, "query", "softmax")
