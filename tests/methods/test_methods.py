from __future__ import annotations

import subprocess
import sys

from hificl.methods import METHODS
from hificl.methods.hificl import peft_config


def test_names_and_order() -> None:
    assert list(METHODS) == ["zero_shot", "icl", "lora", "hificl"]
    for name, method in METHODS.items():
        assert method.name == name
        assert method.description
        assert method.learned == (method.peft_config is not None)


def test_methods_cannot_be_changed() -> None:
    assert not hasattr(METHODS, "__setitem__")


def test_listing_needs_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; from hificl.methods import METHODS; print(*METHODS)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == list(METHODS), done.stderr


def test_hificl_numbers_of_the_paper() -> None:
    config = peft_config(None, {"r": 5})  # type: ignore[arg-type]
    assert (config.num_virtual_tokens, config.r, config.share, config.mixing) == (8, 5, "query", "softmax")
