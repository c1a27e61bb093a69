"""One vector per image from the frozen model's own eyes: what RICES compares."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from hificl.backbones import Backbone, encode
from hificl.data import Example, ImageSource
from hificl.errors import InputError


class ImageFeatures:
    """Mean-pooled image features of a backbone, each image seen once and alone.

    The features are what the language model gets: ``get_image_features``, projector included, averaged over the places
    of the image; for a model without that method the last hidden state of its vision encoder. No adapter acts on them.

    Raises:
        InputError: The backbone reads text only.
    """

    def __init__(self, backbone: Backbone) -> None:
        if not backbone.takes_images:
            raise InputError(
                f"{backbone.name} reads text only, so no image can be compared; use retrieval='random' in place of "
                "'rices'."
            )
        self.backbone = backbone
        self._seen: dict[object, tuple[ImageSource, Tensor]] = {}

    def vector(self, example: Example) -> Tensor:
        """Return the direction of an example's images, the mean over several: [hidden], float64, of length one.

        Raises:
            InputError: The example has no image, or one that cannot be read.
        """
        if not example.images:
            raise InputError(f"sample {example.id!r} has no image to compare; use retrieval='random'.")
        vectors = [self._of_image(image, example) for image in example.images]
        return torch.nn.functional.normalize(torch.stack(vectors).mean(dim=0), dim=0)

    def _of_image(self, image: ImageSource, example: Example) -> Tensor:
        # A PIL image has no hash; the entry keeps it alive, so that its id stays its own.
        key = id(image) if isinstance(image, Image.Image) else image
        if key not in self._seen:
            self._seen[key] = image, self._compute(replace(example, images=[image]))
        return self._seen[key][1]

    def _compute(self, example: Example) -> Tensor:
        # Encoded as a prompt, so that the image is prepared as the model will see it.
        inputs = encode(self.backbone, example).inputs
        placed = {name: tensor.to(self.backbone.device) for name, tensor in inputs.items()}
        with torch.no_grad():
            features = _features(self.backbone.model, placed)
        return torch.nn.functional.normalize(features.double().cpu().reshape(-1, features.shape[-1]).mean(dim=0), dim=0)


def _features(model: Any, inputs: Mapping[str, Tensor]) -> Tensor:
    """Features of one image, [... hidden]."""
    method = getattr(model, "get_image_features", None)
    if method is None:
        pixels = inputs["pixel_values"]
        found: Tensor = model.get_encoder(modality="image")(pixel_values=pixels.flatten(0, -4)).last_hidden_state
        return found
    known = inspect.signature(method).parameters
    output = method(**{name: tensor for name, tensor in inputs.items() if name in known})
    pooled = getattr(output, "pooler_output", output)
    return pooled if isinstance(pooled, Tensor) else torch.cat([piece.flatten(0, -2) for piece in pooled])
