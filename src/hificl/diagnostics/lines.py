"""The lines of a comparison with real demonstrations: one per model, filled batch by batch, summarised at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hificl.backbones import Backbone, with_opening
from hificl.diagnostics.asked import Asked
from hificl.diagnostics.distances import METRICS, TOKENS, answer_distances, layer_summary, state_distances, summary
from hificl.diagnostics.reading import Reading, Text, read
from hificl.evaluation.retrieval import Choose
from hificl.statistics import Floats
from hificl.tuner import find_places

ZERO_SHOT, OTHER = "zero_shot", "other_demonstrations"
"""Lines that stand beside every method: the frozen model without demonstrations, and with k other ones."""


@dataclass(frozen=True)
class Reader:
    """A model whose states are compared, and what it reads before the query."""

    model: Any
    """The backbone's model, or one with an adapter on it, in eval mode."""

    shots: int = 0
    """Demonstrations in its own prompt: the first of those of the reference, unless ``choose`` is given."""

    choose: Choose | None = None
    """Its own choice of demonstrations, the same for every draw."""

    opening: str = "written"
    """``"in_adapter"`` where its pairs hold the opening of the prompt, see :class:`hificl.backbones.PromptForm`."""


class Lines:
    """Collects the distances between readers and the reference.

    Args:
        backbone: The frozen model, which is the reference.
        readers: By name of their line; ``zero_shot`` is among them.
        sites: Where states are compared.
        draws: References per query.
    """

    def __init__(self, backbone: Backbone, readers: Mapping[str, Reader], sites: Sequence[str], draws: int) -> None:
        self.backbone, self.readers, self.sites, self.draws = backbone, readers, sites, draws
        models = {id(model): model for model in (backbone.model, *(reader.model for reader in readers.values()))}
        self.places = {key: [one for site in sites for one in find_places(models[key], site)] for key in models}
        self.layers = len(self.places[id(backbone.model)]) // len(sites)
        names = [*readers, *([OTHER] if draws > 1 else [])]
        self.states: dict[str, list[Floats]] = {name: [] for name in names}
        self.answers: dict[str, list[Floats]] = {name: [] for name in names}
        self.counts: list[tuple[int, int]] = []

    def add(self, asked: Sequence[Asked]) -> None:
        """Read one batch with every model and compare.

        Raises:
            InputError: A query has other tokens after demonstrations.
        """
        texts = [[one.text(self.backbone, one.shown[draw]) for one in asked] for draw in range(self.draws)]
        self.counts += [(text.tokens, text.answers) for text in texts[0]]
        references = [self._read(self.backbone.model, of_draw) for of_draw in texts]
        for name, reader in self.readers.items():
            changes = reader.shots > 0 and reader.choose is None
            readings = [self._line(reader, asked, draw) for draw in range(self.draws if changes else 1)]
            self._compare(name, readings if changes else readings * self.draws, references)
        if self.draws > 1:
            self._compare(OTHER, references[1:] + references[:1], references)

    def _line(self, reader: Reader, asked: Sequence[Asked], draw: int) -> list[Reading]:
        shown = [reader.choose(one.example) if reader.choose else one.first(draw, reader.shots) for one in asked]
        asking = with_opening(self.backbone, reader.opening)
        return self._read(reader.model, [one.text(asking, before) for one, before in zip(asked, shown, strict=True)])

    def _read(self, model: Any, texts: Sequence[Text]) -> list[Reading]:
        return read(self.backbone, model, texts, self.places[id(model)])

    def _compare(self, name: str, readings: Sequence[list[Reading]], references: Sequence[list[Reading]]) -> None:
        """Add the batch to one line; both arguments by draw, then by query."""
        for kept, distances in ((self.states, state_distances), (self.answers, answer_distances)):
            by_draw = [
                torch.stack([distances(one, other) for one, other in zip(ours, theirs, strict=True)])
                for ours, theirs in zip(readings, references, strict=True)
            ]
            kept[name].append(torch.stack(by_draw).mean(dim=0).numpy())

    def results(self) -> dict[str, Any]:
        """Summarise all lines over the queries."""
        zero = self._relative(ZERO_SHOT)
        tokens = np.array(self.counts, dtype=np.float64).mean(axis=0).tolist()
        return {
            "layers": self.layers,
            "sites": list(self.sites),
            "tokens": dict(zip(TOKENS, tokens, strict=True)),
            "lines": {name: self._summary(name, zero) for name in self.states},
        }

    def _relative(self, name: str) -> Floats:
        """The mean relative distance of each query at the last site and the shared tokens."""
        found = np.concatenate(self.states[name])
        means: Floats = found[:, -self.layers :, TOKENS.index("shared"), METRICS.index("relative_l2")].mean(axis=1)
        return means

    def _summary(self, name: str, zero: Floats) -> dict[str, Any]:
        states, answers = np.concatenate(self.states[name]), np.concatenate(self.answers[name])
        by_site = states.reshape(len(states), len(self.sites), self.layers, len(TOKENS), len(METRICS))
        return {
            **{site: _by_tokens(by_site[:, index]) for index, site in enumerate(self.sites)},
            "kl": summary(answers[:, 0]),
            "agreement": summary(answers[:, 1]),
            "against_zero_shot": None if name == ZERO_SHOT else summary(self._relative(name) - zero),
        }


def _by_tokens(values: Floats) -> dict[str, Any]:
    """Summarise [queries layers TOKENS METRICS]."""
    return {
        tokens: {metric: layer_summary(values[:, :, row, column]) for column, metric in enumerate(METRICS)}
        for row, tokens in enumerate(TOKENS)
    }
