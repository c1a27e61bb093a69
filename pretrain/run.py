"""Runs a recipe stage after stage into a folder; a stage that is complete is read back, not run again."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast, SiglipVisionModel

from hificl.data.packages import read_manifest
from pretrain import float_attention
from pretrain.architecture import build_model, vision_config
from pretrain.batches import Encoder
from pretrain.catalogue import Catalogue, build_catalogue, merge_names
from pretrain.checkpoint import read_mark, read_tensors, write_folder
from pretrain.data import SOURCES, build_pools
from pretrain.data.facts import Fact, country_rows, emoji_rows
from pretrain.data.pool import ImagePool
from pretrain.induction_start import InductionStart, start_projector
from pretrain.learner import EpisodeLearner, decoder_parameters
from pretrain.loop import Stage, run_stage
from pretrain.recipe import Recipe
from pretrain.vision import VisionLearner, cache_features
from pretrain.vocabulary import train_tokenizer

HELD_OUT_SCENES = 1000


def fingerprint(previous: str, content: object) -> str:
    """Return a SHA-256 over what decided the weights so far and the next decision."""
    text = json.dumps([previous, content], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def root_fingerprint(recipe: Recipe, seed: int) -> str:
    """Return the fingerprint of what every stage depends on: the tower, pools, packages and seed."""
    tower = vision_config(recipe.architecture).to_dict()
    manifest, names = read_manifest(), {name for pool in recipe.pools for name in SOURCES[pool].packages}
    packages = {name: manifest[name].sha256 for name in sorted(names)}
    return fingerprint("", [tower, dict(recipe.pools), packages, seed])


@dataclass
class Materials:
    """What the stages work on: the model, its tokenizer, the pools and (after the vision stage) features."""

    model: LlavaForConditionalGeneration
    tokenizer: PreTrainedTokenizerFast
    pools: dict[str, ImagePool]
    held_out: ImagePool
    facts: list[Fact]
    features: Tensor | None = None
    catalogues: tuple[Catalogue, Catalogue] | None = None

    def tower(self) -> torch.nn.Module:
        """Return the model's vision tower."""
        tower: torch.nn.Module = self.model.model.vision_tower
        return tower

    def trained(self, stage: Stage) -> dict[str, torch.nn.Parameter]:
        """Return what a stage trains: the tower, or everything else."""
        if stage.kind == "vision":
            return {name: p for name, p in self.model.named_parameters() if "vision_tower" in name}
        return decoder_parameters(self.model)

    def prepare_decoder(self, seed: int) -> None:
        """Run the frozen tower once over all pools, index them, and start the decoder as an induction circuit."""
        if self.features is not None:
            return
        pools = {**self.pools, "held out": self.held_out}
        self.features = torch.cat([cache_features(self.tower().eval(), pool.images) for pool in pools.values()])
        ends = np.cumsum([len(pool) for pool in pools.values()]).tolist()
        offsets = dict(zip(pools, [0, *ends], strict=False))
        train = build_catalogue(self.pools, offsets, False, self.facts)
        offsets["scenes"] = offsets["held out"]
        held = build_catalogue({**self.pools, "scenes": self.held_out}, offsets, True, self.facts)
        self.catalogues = (train, held)
        mark = self.tokenizer(" A:", add_special_tokens=False).input_ids[-1]
        self.model.cpu()  # where the start is drawn
        InductionStart(self.model, mark, seed).write()
        start_projector(self.model, self.features, seed)
        self.model.to(self.features.device)


def gather(recipe: Recipe, seed: int, cache: Path) -> Materials:
    """Build pools and tokenizer, and the model at its seeded start."""
    pools = build_pools(cache, recipe.pools, seed)
    held_out = build_pools(cache, {"scenes": HELD_OUT_SCENES}, seed + 1)["scenes"]
    facts = [*(country_rows(cache) if "flags" in pools else []), *(emoji_rows(cache) if "emoji" in pools else [])]
    tokenizer = train_tokenizer(merge_names(pools, facts), recipe.architecture.vocabulary)
    with torch.random.fork_rng():
        torch.manual_seed(seed + 1)
        model = build_model(recipe.architecture, tokenizer)
    torch.manual_seed(seed)  # the tower, and next the heads of its stage, start from this
    tower = SiglipVisionModel(vision_config(recipe.architecture))
    model.model.vision_tower.load_state_dict(tower.state_dict())
    return Materials(model, tokenizer, pools, held_out, facts)


def _train(
    materials: Materials, stage: Stage, folder: Path, mark: str, seed: tuple[int, ...], stop_after: int | None
) -> None:
    """Run one stage and put its fp32 result into the model."""
    if stage.kind == "vision":
        width = materials.model.config.vision_config.hidden_size
        vision = VisionLearner(materials.tower().train(), width, materials.pools, seed, stage.batch)
        held_out = materials.held_out
        masters = run_stage(folder, stage, vision, lambda: vision.probe(held_out), mark, stop_after=stop_after)
        parameters = {f"tower.{name}": p for name, p in materials.tower().named_parameters()}
    else:
        assert materials.features is not None
        assert materials.catalogues is not None
        encoder = Encoder(materials.tokenizer, stage.options["visual_tokens"])
        materials.model.model.language_model.set_attn_implementation(float_attention.NAME)
        train, held = materials.catalogues
        episodes = EpisodeLearner(materials.model, encoder, materials.features, train, held, stage, seed)
        masters = run_stage(folder, stage, episodes, episodes.probe, mark, stop_after=stop_after, half=True)
        parameters = decoder_parameters(materials.model)
        materials.model.model.language_model.set_attn_implementation("sdpa")
    for name, parameter in parameters.items():
        parameter.data = masters[name].clone()


def run_recipe(
    recipe: Recipe,
    output: Path,
    *,
    seed: int = 0,
    cache: Path,
    resume: bool = False,
    device: str = "cpu",
    stop_after: int | None = None,
) -> Materials:
    """Run every stage of `recipe` in `output`/stages and return the trained model with its tokenizer.

    device: where to compute; the start is drawn on the CPU, so it is the same everywhere, the arithmetic is not.
    resume: continue what stands in `output`; otherwise it is started anew.
    stop_after: end every stage after that many steps as a killed run would (tests only).
    """
    if not resume:
        shutil.rmtree(output / "stages", ignore_errors=True)
    materials = gather(recipe, seed, cache)
    materials.model.to(device)
    mark = root_fingerprint(recipe, seed)
    for number, stage in enumerate(recipe.stages):
        decided = [asdict(stage)] if stage.kind == "vision" else [asdict(stage), asdict(recipe.architecture)]
        mark = fingerprint(mark, decided)
        folder = output / "stages" / f"{number:02d}-{stage.name}"
        done = folder / "weights"
        if stage.kind != "vision":
            materials.prepare_decoder(seed)
        finished = read_mark(done)
        if finished is not None and finished["fingerprint"] == mark:
            materials.model.load_state_dict(read_tensors(done), strict=False)
            continue
        _train(materials, stage, folder, mark, (seed, number), stop_after)
        if stop_after is not None and stop_after < stage.steps:
            return materials
        weights = {name: p.detach() for name, p in materials.trained(stage).items()}
        write_folder(done, weights, {"fingerprint": mark, "stage": asdict(stage)}, None)
        shutil.rmtree(folder / "running", ignore_errors=True)
    return materials
