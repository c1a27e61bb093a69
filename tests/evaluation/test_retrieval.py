"""RICES: demonstrations by similarity of images, on images whose likeness is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from backbones.tiny_models import TWINS
from hificl.backbones import Backbone, load_backbone
from hificl.data import EPISODE, Example
from hificl.errors import InputError
from hificl.evaluation import demonstration_chooser, evaluate, image_features
from hificl.evaluation.image_features import ImageFeatures

GREYS = (0, 60, 120, 180, 240)


def picture(name: str, grey: int, question: str = "what?", episode: int | None = None) -> Example:
    """A left half in one grey and a white right half."""
    image = Image.new("RGB", (40, 40), "white")
    image.paste((grey, grey, grey), (0, 0, 20, 40))
    return Example(name, [image], question, ["red"], {} if episode is None else {EPISODE: episode})


SUPPORT = [picture(f"s{grey}", grey) for grey in GREYS]


def chosen(backbone: Backbone, query: Example, shots: int, support: Sequence[Example] = SUPPORT) -> list[str]:
    choose = demonstration_chooser(backbone, support, shots=shots, retrieval="rices")
    return [one.id for one in choose(query)]


def test_the_most_similar_image_stands_last(backbone: Backbone) -> None:
    features = ImageFeatures(backbone)
    query = picture("q", 62)
    nearness = {one.id: float(features.vector(one) @ features.vector(query)) for one in SUPPORT}
    assert chosen(backbone, query, 5) == sorted(nearness, key=lambda name: nearness[name])
    assert chosen(backbone, query, 2)[-1] == "s60"
    assert chosen(backbone, picture("q", 240 - 1), 1) == ["s240"]


def test_the_query_is_left_out_under_its_own_and_another_id(backbone: Backbone) -> None:
    assert "s60" not in chosen(backbone, SUPPORT[1], 4)
    twin = Example("twin", SUPPORT[1].images, "what?", ["blue"])
    assert "s60" not in chosen(backbone, twin, 4)
    with pytest.raises(InputError, match="query 's60': 5 demonstrations wanted"):
        chosen(backbone, SUPPORT[1], 5)


def test_a_query_with_an_episode_sees_that_episode_alone(backbone: Backbone) -> None:
    support = [picture(f"s{grey}", grey, episode=grey // 100) for grey in GREYS]
    assert sorted(chosen(backbone, picture("q", 62, episode=1), 2, support)) == ["s120", "s180"]


def test_equally_similar_ones_in_the_order_of_the_support_set(backbone: Backbone) -> None:
    support = [picture("b", 90), picture("a", 90), picture("far", 250)]
    assert chosen(backbone, picture("q", 90, "which?"), 2, support) == ["a", "b"]


def test_features_are_the_mean_over_the_places_of_an_image(backbone: Backbone) -> None:
    example = picture("q", 77)
    pixels = backbone.processor.image_processor(list(example.images), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        places = backbone.model.get_image_features(pixel_values=pixels).pooler_output[0]
    wanted = places.double().mean(dim=0)
    found = ImageFeatures(backbone).vector(example)
    assert torch.allclose(found, wanted / wanted.norm(), atol=1e-6)
    assert found.norm().item() == pytest.approx(1.0)


def test_every_image_goes_through_the_tower_once(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    plain = image_features._features

    def counted(*given: Any) -> torch.Tensor:
        calls.append(given)
        return plain(*given)

    monkeypatch.setattr(image_features, "_features", counted)
    choose = demonstration_chooser(backbone, SUPPORT, shots=3, retrieval="rices")
    queries = [picture("q0", 10), picture("q1", 200)]
    for query in (*queries, *queries):
        choose(query)
    assert len(calls) == len(SUPPORT) + len(queries)


def test_the_record_says_how_demonstrations_were_chosen(backbone: Backbone) -> None:
    queries = [picture("q", 62)]
    found = evaluate(backbone, queries, shots=2, demonstrations=SUPPORT, retrieval="rices", max_new_tokens=2)
    assert found.record["config"]["retrieval"] == "rices"
    assert list(found.predictions[0].demonstrations) == chosen(backbone, queries[0], 2)
    drawn = evaluate(backbone, queries, shots=2, demonstrations=SUPPORT, max_new_tokens=2)
    assert "retrieval" not in drawn.record["config"]  # records of earlier versions keep their bits


def test_what_rices_cannot_do(backbone: Backbone, text_backbone: Backbone, text_examples: list[Example]) -> None:
    with pytest.raises(InputError, match="reads text only, so no image can be compared; use retrieval='random'"):
        evaluate(text_backbone, text_examples, shots=1, demonstrations=text_examples, retrieval="rices")
    with pytest.raises(InputError, match="sample 'q' has no image to compare"):
        chosen(backbone, Example("q", [], "what?", []), 1)
    with pytest.raises(InputError, match="retrieval 'clip' is unknown; use 'random' or 'rices'"):
        demonstration_chooser(backbone, SUPPORT, shots=1, retrieval="clip")


@pytest.mark.parametrize("family", sorted(set(TWINS) - {"embedded"}))
def test_every_family_finds_the_same_picture_again(family: str, tmp_path: Path) -> None:
    TWINS[family](tmp_path)
    model = load_backbone(tmp_path, device="cpu")
    assert chosen(model, picture("q", 120, "which?"), 1) == ["s120"]
