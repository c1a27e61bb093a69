"""The vision stage: the tower alone, with linear heads for the labels of the pools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from pretrain.data.pool import IMAGE_SIZE, ImagePool
from pretrain.data.scenes import COLORS, SHAPES, SIZES

GRID = 3  # positions are told apart on a 3 x 3 grid


def to_pixels(images: np.ndarray, device: torch.device) -> Tensor:
    """Turn uint8 [batch, 64, 64, 3] into float [batch, 3, 64, 64] in [-1, 1], as the processor does."""
    return torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float().div_(127.5).sub_(1).contiguous()


@dataclass(frozen=True)
class Classified:
    """A pool of single pictures in the vision stage. share: of a batch; weights: of the losses of its labels."""

    share: float
    weights: Mapping[str, float]


CLASSIFIED: Mapping[str, Classified] = {
    "emoji": Classified(0.26, {"concept": 0.5, "group": 0.3}),
    "flags": Classified(0.09, {"country": 0.3}),
    "fashion": Classified(0.08, {"concept": 0.3}),
    "digits": Classified(0.05, {"concept": 0.2}),
}
"""The other pools of the vision stage; scenes take the rest of a batch."""


class VisionHeads(nn.Module):
    """Linear heads on the tower's tokens: some on every token, some on their mean."""

    def __init__(self, width: int, pools: Mapping[str, ImagePool]) -> None:
        super().__init__()
        outputs = {
            "patch_color": len(COLORS) + 1,
            "patch_shape": len(SHAPES) + 1,
            "color": len(COLORS),
            "shape": len(SHAPES),
            "size": len(SIZES),
            "place": GRID * GRID,
            "count": 4,
            "pair": len(COLORS) * len(SHAPES),
        }
        for pool, classified in CLASSIFIED.items():
            if pool in pools:
                outputs |= {f"{pool}_{name}": len(pools[pool].names[name]) for name in classified.weights}
        self.heads = nn.ModuleDict({name: nn.Linear(width, size) for name, size in outputs.items()})

    def forward(self, name: str, tokens: Tensor) -> Tensor:
        """Return the logits of one head; only the `patch_` heads keep the token axis."""
        logits: Tensor = self.heads[name](tokens if name.startswith("patch_") else tokens.mean(1))
        return logits


def scene_loss(heads: VisionHeads, tokens: Tensor, labels: Mapping[str, Tensor]) -> Tensor:
    """Return the loss on scenes: per patch, per single-shape image, and which pairs are present."""
    loss = torch.zeros((), device=tokens.device)
    for name, classes in (("patch_color", len(COLORS)), ("patch_shape", len(SHAPES))):
        weight = torch.ones(classes + 1, device=tokens.device)
        weight[0] = 0.2  # most patches are empty
        logits = heads(name, tokens)
        loss = loss + cross_entropy(logits.flatten(0, 1), labels[name].flatten() + 1, weight=weight)
    counts = (labels["shape"] >= 0).sum(1)
    single = counts == 1
    pooled = tokens[single]
    for name in ("color", "shape", "size"):
        loss = loss + cross_entropy(heads(name, pooled), labels[name][single, 0])
    cell = (labels["center"][single, 0] * GRID // IMAGE_SIZE).clamp(0, GRID - 1)
    loss = loss + 0.5 * cross_entropy(heads("place", pooled), cell[:, 0] * GRID + cell[:, 1])
    loss = loss + 0.3 * cross_entropy(heads("count", tokens), counts - 1)
    pairs = torch.zeros(len(tokens), len(COLORS) * len(SHAPES) + 1, device=tokens.device)
    index = labels["color"] * len(SHAPES) + labels["shape"]
    pairs.scatter_(1, torch.where(labels["shape"] >= 0, index, pairs.shape[1] - 1), 1.0)
    return loss + 8 * binary_cross_entropy_with_logits(heads("pair", tokens), pairs[:, :-1])


def known_pictures(pool: ImagePool) -> np.ndarray:
    """Return the numbers of the pictures that are not held out of training."""
    held_out = pool.labels.get("held_out", np.zeros(len(pool), np.int16))
    return np.flatnonzero(held_out == 0)


def _rows(labels: Mapping[str, np.ndarray], numbers: np.ndarray, device: torch.device) -> dict[str, Tensor]:
    return {name: torch.from_numpy(values[numbers].astype(np.int64)).to(device) for name, values in labels.items()}


class VisionLearner:
    """Draws batches mixed from all pools and returns the summed loss of their heads."""

    def __init__(
        self, tower: nn.Module, width: int, pools: Mapping[str, ImagePool], seed: tuple[int, ...], batch: int
    ) -> None:
        self.tower, self.pools, self.seed, self.batch = tower, pools, seed, batch
        self.device = next(tower.parameters()).device
        self.heads = VisionHeads(width, pools).to(self.device)
        self.known = {name: known_pictures(pools[name]) for name in CLASSIFIED if name in pools}

    def parameters(self) -> dict[str, nn.Parameter]:
        """Return the trained parameters by name: the tower's and the heads'."""
        named = {f"tower.{name}": p for name, p in self.tower.named_parameters()}
        return named | {f"heads.{name}": p for name, p in self.heads.named_parameters()}

    def loss(self, step: int) -> Tensor:
        """Return the loss of the batch of `step`, which depends on the seed and the step alone."""
        rng = np.random.default_rng([*self.seed, step])
        shares = {name: int(self.batch * CLASSIFIED[name].share) for name in self.known}
        drawn = {"scenes": rng.integers(0, len(self.pools["scenes"]), self.batch - sum(shares.values()))}
        drawn |= {name: rng.choice(self.known[name], share) for name, share in shares.items()}
        drawn = {name: np.sort(numbers) for name, numbers in drawn.items()}  # reading in order is faster
        pixels = np.concatenate([self.pools[name].images[numbers] for name, numbers in drawn.items()])
        tokens = self.tower(to_pixels(pixels, self.device)).last_hidden_state
        parts = dict(zip(drawn, tokens.split([len(numbers) for numbers in drawn.values()]), strict=True))
        scenes = self.pools["scenes"].labels
        loss = scene_loss(self.heads, parts["scenes"], _rows(scenes, drawn["scenes"], self.device))
        for name in self.known:
            labels = _rows(self.pools[name].labels, drawn[name], self.device)
            for label, weight in CLASSIFIED[name].weights.items():
                loss = loss + weight * cross_entropy(self.heads(f"{name}_{label}", parts[name]), labels[label])
        return loss

    @torch.no_grad()
    def probe(self, held: ImagePool) -> dict[str, float]:
        """Return the accuracy (percent) of colour and shape on the single-shape scenes of `held`."""
        single = np.flatnonzero((held.labels["shape"] >= 0).sum(1) == 1)
        tokens = self.tower(to_pixels(held.images[single], self.device)).last_hidden_state
        scores = {}
        for name in ("color", "shape"):
            guess = self.heads(name, tokens).argmax(-1).cpu().numpy()
            scores[f"{name}_accuracy"] = 100 * float((guess == held.labels[name][single, 0]).mean())
        return scores


@torch.no_grad()
def cache_features(tower: nn.Module, images: np.ndarray, batch: int = 256) -> Tensor:
    """Return the tokens that the projector sees, bf16 [images, tokens, width].

    These are the last layer's, before the tower's final normalisation, as LLaVA takes them.
    """
    device = next(tower.parameters()).device
    parts = [
        tower(to_pixels(images[start : start + batch], device), output_hidden_states=True).hidden_states[-1].bfloat16()
        for start in range(0, len(images), batch)
    ]
    return torch.cat(parts)
