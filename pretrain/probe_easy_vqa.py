"""Evaluation only: easy-VQA on a saved model folder, in context and after adaptation; writes a JSON record.

Nothing in the pretraining reads this module or its numbers.
Run: `python -m pretrain.probe_easy_vqa MODEL_FOLDER --output RECORD.json`.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from transformers import AutoModelForImageTextToText, AutoProcessor

from pretrain.batches import Batch, Encoder, Sample, hidden_states
from pretrain.data.pool import IMAGE_SIZE
from pretrain.episodes import Round
from pretrain.vision import cache_features

SHAPE_WORDS = ("circle", "rectangle", "triangle")


@dataclass(frozen=True)
class Item:
    """One question of easy-VQA; image is its place in the array of images."""

    image: int
    question: str
    answer: str

    @property
    def kind(self) -> str:
        """Return "yes/no", "shape" or "color"."""
        if self.answer in ("yes", "no"):
            return "yes/no"
        return "shape" if self.answer in SHAPE_WORDS else "color"


def read_split(split: str, count: int, seed: int) -> tuple[list[Item], np.ndarray]:
    """Return `count` seeded questions of a split and the images that they use, uint8 [images, 64, 64, 3]."""
    package = importlib.util.find_spec("easy_vqa")
    if package is None or package.origin is None:
        raise SystemExit("easy-vqa is not installed; run `pip install easy-vqa==1.0`")
    folder = Path(package.origin).parent / "data" / split
    rows = json.loads((folder / "questions.json").read_text())
    chosen = np.random.default_rng(seed).permutation(len(rows))[:count]
    picked = [rows[i] for i in chosen]
    numbers = sorted({row[2] for row in picked})
    place = {number: index for index, number in enumerate(numbers)}
    items = [Item(place[image], question, answer) for question, answer, image in picked]
    pictures = [Image.open(folder / "images" / f"{number}.png").convert("RGB") for number in numbers]
    assert all(picture.size == (IMAGE_SIZE, IMAGE_SIZE) for picture in pictures)
    return items, np.stack([np.asarray(picture) for picture in pictures])


def _prompt(encoder: Encoder, rounds: Sequence[Item], query: Item) -> Sample:
    """Return demonstrations and a query; the targets are those of the query alone."""
    ids, targets, images = [encoder.bos], [-100], []
    for item in [*rounds, query]:
        more, wanted = encoder.round_tokens(Round(item.image, item.question, item.answer, item is query))
        ids += more
        targets += wanted
        images.append(item.image)
    return Sample(ids, targets, images)


@torch.no_grad()
def score(
    model: nn.Module, encoder: Encoder, features: Tensor, prompts: Sequence[Sample], batch: int = 32
) -> np.ndarray:
    """Return, per prompt, whether the greedy answer is exactly the target (answer and newline).

    Greedy decoding gives the target exactly when each target token is the most likely one after the true
    tokens before it, so one forward pass per prompt is enough.
    """
    right = np.zeros(len(prompts), bool)
    for start in range(0, len(prompts), batch):
        part = encoder.collate(prompts[start : start + batch])
        hidden = hidden_states(model, part, features, encoder)[:, :-1]
        wanted = part.targets[:, 1:] != -100
        misses = model.lm_head(hidden[wanted]).argmax(-1) != part.targets[:, 1:][wanted]
        rows = wanted.nonzero()[:, 0]
        wrong = torch.zeros(len(part.ids)).index_add(0, rows, misses.float())
        right[start : start + batch] = (wrong == 0).numpy()
    return right


def summary(right: np.ndarray, queries: Sequence[Item]) -> dict[str, Any]:
    """Return percentages by kind of question with 95 % bootstrap intervals over the questions."""
    kinds = np.array([item.kind for item in queries])
    groups = {"all": kinds != "", "open": kinds != "yes/no"}
    groups |= {kind: kinds == kind for kind in ("color", "shape", "yes/no")}
    rng = np.random.default_rng(0)
    out: dict[str, Any] = {}
    for name, chosen in groups.items():
        if not chosen.any():
            continue
        values = right[chosen].astype(float)
        means = values[rng.integers(len(values), size=(2000, len(values)))].mean(1)
        low, high = np.percentile(means, [2.5, 97.5])
        out[name] = {
            "score": round(100 * float(values.mean()), 1),
            "ci95": [round(100 * float(low), 1), round(100 * float(high), 1)],
            "questions": len(values),
        }
    return out


def adapt(model: nn.Module, encoder: Encoder, features: Tensor, items: Sequence[Item], rate: float, steps: int) -> None:
    """Train the parameters that require gradients on single questions, 16 a step, cosine to zero."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=rate, weight_decay=1e-3)
    rng = np.random.default_rng(5)
    for step in range(steps):
        for group in optimiser.param_groups:
            warm = min(1.0, (step + 1) / (0.1 * steps))
            group["lr"] = rate * warm * 0.5 * (1 + np.cos(np.pi * step / steps))
        chosen = [items[i] for i in rng.integers(len(items), size=16)]
        batch: Batch = encoder.collate([_prompt(encoder, [], item) for item in chosen])
        hidden = hidden_states(model, batch, features, encoder)[:, :-1]
        wanted = batch.targets[:, 1:] != -100
        loss = nn.functional.cross_entropy(model.lm_head(hidden[wanted]), batch.targets[:, 1:][wanted])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()


def lora_adapter(model: nn.Module) -> nn.Module:
    """Wrap the text decoder in LoRA r = 8 through PEFT."""
    from peft import LoraConfig, get_peft_model

    targets = r".*language_model.*(q_proj|k_proj|v_proj|o_proj)"
    return get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=targets))


def hificl_adapter(model: nn.Module) -> nn.Module:
    """Wrap the text decoder in HiFICL with 8 pairs per head and layer."""
    from peft import get_peft_model

    import hificl

    return get_peft_model(model, hificl.HiFICLConfig(num_virtual_tokens=8))


ADAPTERS: dict[str, tuple[Callable[[nn.Module], nn.Module], tuple[float, ...]]] = {
    "lora": (lora_adapter, (5e-3, 1e-2)),
    "hificl": (hificl_adapter, (5e-3, 2e-2)),
}


def _load(folder: Path, random_decoder: bool) -> tuple[nn.Module, Encoder]:
    """Load the saved folder in fp32, frozen; random_decoder draws everything but the tower anew (the control)."""
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    if random_decoder:
        torch.manual_seed(0)
        fresh = type(model)(model.config)
        fresh.model.vision_tower.load_state_dict(model.model.vision_tower.state_dict())
        model = fresh
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model.eval(), Encoder(AutoProcessor.from_pretrained(folder).tokenizer)


def in_context(folder: Path, support: Sequence[Item], queries: Sequence[Item], features: Tensor) -> dict[str, Any]:
    """Return the summaries of 0, 4, 8 and 16 seeded demonstrations per query."""
    model, encoder = _load(folder, False)
    results = {}
    for shots in (0, 4, 8, 16):
        rng = np.random.default_rng(11)
        prompts = []
        for query in queries:
            demonstrations = [support[i] for i in rng.permutation(len(support))[:shots]]
            prompts.append(_prompt(encoder, demonstrations, query))
        results[f"{shots}-shot"] = summary(score(model, encoder, features, prompts), queries)
        print(shots, "shots", {k: v["score"] for k, v in results[f"{shots}-shot"].items()}, flush=True)
    return results


def adapted(
    folder: Path,
    method: str,
    random_decoder: bool,
    support: Sequence[Item],
    queries: Sequence[Item],
    features: Tensor,
    steps: int = 300,
) -> dict[str, Any]:
    """Return the summary of one method for each of its learning rates, `steps` steps of 16 questions."""
    wrap, rates = ADAPTERS[method]
    results = {}
    for rate in rates:
        model, encoder = _load(folder, random_decoder)
        torch.manual_seed(0)
        wrapped = wrap(model)
        adapt(_inner(wrapped), encoder, features, support, rate, steps)
        prompts = [_prompt(encoder, [], query) for query in queries]
        results[f"rate {rate:g}"] = summary(score(_inner(wrapped), encoder, features, prompts), queries)
        label = f"{method}{' on a random decoder' if random_decoder else ''}, rate {rate:g}"
        print(label, {k: v["score"] for k, v in results[f"rate {rate:g}"].items()}, flush=True)
    return results


def _inner(wrapped: nn.Module) -> nn.Module:
    """Return the Llava model inside a PEFT wrapper; its adapted modules stay in place."""
    inner: nn.Module = wrapped.get_base_model()
    return inner


def main() -> None:
    """Probe a model folder and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the saved model folder")
    parser.add_argument("--output", type=Path, required=True, help="where the JSON record goes")
    parser.add_argument("--queries", type=int, default=500, help="test questions (default: 500)")
    parser.add_argument("--methods", nargs="*", default=["lora", "hificl"], choices=sorted(ADAPTERS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    support, train_images = read_split("train", 300, 1)
    queries, test_images = read_split("test", options.queries, 2)
    queries = [Item(item.image + len(train_images), item.question, item.answer) for item in queries]
    tower = _load(options.folder, False)[0].model.vision_tower
    features = cache_features(tower, np.concatenate([train_images, test_images])).float()
    results = in_context(options.folder, support, queries, features)
    for method in options.methods:
        for control in (False, True):
            name = f"{method}, random decoder" if control else method
            results[name] = adapted(options.folder, method, control, support, queries, features)
    digest = hashlib.sha256((options.folder / "model.safetensors").read_bytes()).hexdigest()
    parameters = sum(p.numel() for p in _load(options.folder, False)[0].parameters())
    record = {"task": "easy-VQA", "model_sha256": digest, "parameters": parameters}
    record |= {"support": len(support), "queries": len(queries), "results": results}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
