"""Example: what it normalises and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from hificl.data import Example
from hificl.errors import InputError


def test_lists_become_tuples_and_meta_a_copy() -> None:
    meta = {"type": "colour"}
    example = Example("a", [Path("a.png"), b"bytes"], "what colour?", ["red", "dark red"], meta)
    meta["type"] = "changed"
    assert example.images == (Path("a.png"), b"bytes")
    assert example.answers == ("red", "dark red")
    assert example.meta == {"type": "colour"}
    assert Example("b", [], "", []).meta == {}


def test_equal_fields_make_equal_examples_that_can_be_hashed() -> None:
    first, second = (Example("a", [Image.new("RGB", (3, 2))], "q", ["x"], {"k": 1}) for _ in range(2))
    assert first == second
    assert len({first, second}) == 1
    assert first != Example("a", [Image.new("RGB", (3, 2), "red")], "q", ["x"], {"k": 1})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": 7}, "id must be a text"),
        ({"id": ""}, "id must be a text that is not empty"),
        ({"question": None}, "'x7': question must be a text, got NoneType"),
        ({"answers": "red"}, "'x7': answers must be a list of texts, got str; put a single answer into a list"),
        ({"answers": ["red", 5]}, "'x7': answer 1 is a int"),
        ({"answers": ["red", " \n"]}, "'x7': answer 1 is empty"),
        ({"images": "a.png"}, "'x7': images must be a list of images, got str; put a single image into a list"),
        ({"images": b"\x89PNG"}, "'x7': images must be a list of images, got bytes"),
        ({"images": Image.new("L", (2, 3))}, "'x7': images must be a list of images"),
        ({"images": ["a.png", 3]}, "'x7': image 1 is a int"),
        ({"meta": ["colour"]}, "'x7': meta must be a mapping, got list"),
    ],
)
def test_wrong_fields_are_named(change: dict[str, object], message: str) -> None:
    fields = {"id": "x7", "images": ["a.png"], "question": "what?", "answers": ["red"], "meta": {}} | change
    with pytest.raises(InputError) as error:
        Example(**fields)  # type: ignore[arg-type]
    assert message in str(error.value)
