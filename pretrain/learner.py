"""The learner of the stages that train the decoder and the projector on cached features."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration

from pretrain.batches import Encoder, answer_loss, draw_batch
from pretrain.catalogue import Catalogue
from pretrain.episodes import Draw
from pretrain.loop import Stage
from pretrain.probes import run_probes


def decoder_parameters(model: LlavaForConditionalGeneration) -> dict[str, nn.Parameter]:
    """Return every parameter outside the tower, by name; tied weights once."""
    return {name: p for name, p in model.named_parameters() if "vision_tower" not in name}


class EpisodeLearner:
    """Trains the decoder and the projector on episodes."""

    def __init__(
        self,
        model: LlavaForConditionalGeneration,
        encoder: Encoder,
        features: Tensor,
        catalogue: Catalogue,
        held_out: Catalogue,
        stage: Stage,
        seed: tuple[int, ...],
    ) -> None:
        self.model, self.encoder, self.features = model, encoder, features
        self.catalogue, self.held_out, self.stage, self.seed = catalogue, held_out, stage, seed

    def parameters(self) -> dict[str, nn.Parameter]:
        """Return the trained parameters; the loop keeps their fp32 masters."""
        return decoder_parameters(self.model)

    def loss(self, step: int) -> Tensor:
        """Return the loss of the batch of `step`, which depends on the seed and the step alone."""
        options = self.stage.options
        draw = Draw(np.random.default_rng([*self.seed, step]), self.catalogue)
        batch = draw_batch(self.encoder, draw, options["mix"], self.stage.batch, options["lengths"])
        return answer_loss(self.model, batch, self.features, self.encoder)

    def probe(self) -> dict[str, float]:
        """Return the scores of the stage's probes on held-out material."""
        names = self.stage.options["probes"]
        return run_probes(self.model, self.held_out, self.features, self.encoder, names)
