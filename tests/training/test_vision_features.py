from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from hificl.adapters.shared_weights import with_shared_weights
from hificl.training.aside import take_aside, with_aside
from hificl.training.vision_features import METHOD, remembered_vision_features

IMAGE = 101
VISION = {
    "hidden_size": 24, "intermediate_size": 28, "num_hidden_layers": 2, "num_attention_heads": 2,
    "image_size": 8, "patch_size": 4,
}  # fmt: skip
SIGLIP = {"model_type": "siglip_vision_model", "vision_use_head": False, **VISION}
TEXT = {
    "vocab_size": 120, "hidden_size": 60, "intermediate_size": 44, "num_hidden_layers": 2, "num_attention_heads": 6,
    "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
ROPE = {"rope_type": "default", "mrope_section": [1, 2, 2], "rope_theta": 10000.0}


def make(family: str, **parts: Any) -> nn.Module:
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**parts)
    model = getattr(transformers, f"{family}ForConditionalGeneration")(config)
    return model.eval().requires_grad_(False)


def llava() -> nn.Module:
    return make(
        "Llava", image_token_index=IMAGE, vision_config=SIGLIP, text_config={"model_type": "qwen2", **TEXT},
        vision_feature_select_strategy="full", vision_feature_layer=-1,
    )  # fmt: skip


def llava_onevision() -> nn.Module:
    return make(
        "LlavaOnevision", image_token_index=IMAGE, video_token_index=102, vision_config=SIGLIP,
        text_config={"model_type": "qwen2", **TEXT}, image_grid_pinpoints=[[8, 8], [8, 16]], vision_feature_layer=-1,
    )  # fmt: skip


def idefics3() -> nn.Module:
    return make(
        "Idefics3", image_token_id=IMAGE, scale_factor=2, vision_config=VISION,
        text_config={"model_type": "llama", **TEXT},
    )  # fmt: skip


def idefics2() -> nn.Module:
    return make(
        "Idefics2", image_token_id=IMAGE, vision_config=VISION, text_config={"model_type": "mistral", **TEXT},
        perceiver_config={"hidden_size": 60, "resampler_n_latents": 3, "resampler_depth": 1, "resampler_n_heads": 2,
                          "resampler_head_dim": 8, "num_key_value_heads": 1},
    )  # fmt: skip


def gemma3() -> nn.Module:
    return make(
        "Gemma3", image_token_id=IMAGE, boi_token_id=102, eoi_token_id=103, mm_tokens_per_image=4,
        vision_config=SIGLIP, text_config={"model_type": "gemma3_text", "head_dim": 10, **TEXT},
    )  # fmt: skip


def qwen3_vl() -> nn.Module:
    return make(
        "Qwen3VL", image_token_id=IMAGE, video_token_id=102, vision_start_token_id=103, vision_end_token_id=104,
        text_config={"model_type": "qwen3_vl_text", "head_dim": 10, **TEXT, "rope_parameters": ROPE},
        vision_config={"depth": 2, "hidden_size": 24, "intermediate_size": 28, "num_heads": 2, "patch_size": 4,
                       "spatial_merge_size": 2, "temporal_patch_size": 1, "out_hidden_size": 60,
                       "num_position_embeddings": 16, "deepstack_visual_indexes": [0, 1]},
    )  # fmt: skip


def square(images: int, seed: int = 1) -> Tensor:
    return torch.randn(images, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def patches(grids: list[list[int]]) -> dict[str, Tensor]:
    grid = torch.tensor(grids)
    rows = int(grid.prod(-1).sum())
    pixels = torch.randn(rows, 3 * 4 * 4, generator=torch.Generator().manual_seed(2))
    return {"pixel_values": pixels, "image_grid_thw": grid}


FAMILIES: dict[str, tuple[Callable[[], nn.Module], dict[str, Any], int]] = {
    "llava": (llava, {"pixel_values": square(3)}, 3),
    "llava_onevision": (
        llava_onevision,
        {"pixel_values": square(6).view(2, 3, 3, 8, 8), "image_sizes": torch.tensor([[8, 16], [8, 16]])},
        2,
    ),
    "idefics2": (idefics2, {"pixel_values": square(4).view(2, 2, 3, 8, 8)}, 2),
    "idefics3": (idefics3, {"pixel_values": square(6).view(3, 2, 3, 8, 8)}, 3),
    "gemma3": (gemma3, {"pixel_values": square(3)}, 3),
    "qwen3_vl": (qwen3_vl, patches([[1, 4, 4], [1, 2, 4], [1, 4, 4]]), 3),
}


def features(output: Any) -> list[Tensor]:
    """All tensors a decoder may read from an output of ``get_image_features``, in order."""
    found = []
    pending = [output["pooler_output"], *(output.get("deepstack_features") or ())]
    for value in pending:
        found += [value] if isinstance(value, Tensor) else list(value)
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_a_call_returns_the_same_features_and_the_second_one_none_of_the_work(family: str) -> None:
    build, inputs, items = FAMILIES[family]
    owner = build().model
    plain = features(getattr(owner, METHOD)(**inputs, return_dict=True))
    with remembered_vision_features(owner) as counts:
        first = features(getattr(owner, METHOD)(**inputs, return_dict=True))
        second = features(getattr(owner, METHOD)(**inputs, return_dict=True))
    assert (counts.computed, counts.reused, counts.passed_through) == (items, items, 0)
    assert [one.shape for one in first] == [one.shape for one in plain]
    for one, other, alone in zip(first, second, plain, strict=True):
        assert torch.equal(one, other)
        torch.testing.assert_close(one, alone)


def test_images_are_looked_up_by_what_came_from_the_cpu() -> None:
    """So a GPU is not waited for: what is on the device is not read where its source is known."""
    owner, pixels = llava().model, square(3)
    with remembered_vision_features(owner) as counts:
        first = features(owner.get_image_features(pixel_values=pixels, return_dict=True))
        unreadable = torch.full_like(pixels, torch.nan)
        batch = with_aside({"labels": torch.zeros(3, 2, dtype=torch.long), "pixel_values": pixels.flip(0)})
        take_aside({**batch, "pixel_values": unreadable})
        found = features(owner.get_image_features(pixel_values=unreadable, return_dict=True))
    assert (counts.computed, counts.reused) == (3, 3)
    assert all(torch.equal(one, other) for one, other in zip(first[::-1], found, strict=True))


def test_features_do_not_depend_on_limit_or_batch() -> None:
    """Bit for bit: kept or not, alone or in a batch, an image has one set of features."""
    owner = llava().model
    pixels = square(5)
    with remembered_vision_features(owner, limit_bytes=0) as counts:
        batch = features(owner.get_image_features(pixel_values=pixels, return_dict=True))
        turned = features(owner.get_image_features(pixel_values=pixels.flip(0), return_dict=True))
    assert (counts.reused, counts.not_stored, counts.stored_bytes) == (0, 10, 0)
    alone = [features(owner.get_image_features(pixel_values=one[None], return_dict=True))[0] for one in pixels]
    for index in range(5):
        assert torch.equal(batch[index], turned[4 - index])
        assert torch.equal(batch[index], alone[index])


def test_losses_with_and_without_memory_are_bit_equal() -> None:
    model = llava()
    ids = torch.tensor([[1, 5, *[IMAGE] * 4, 9, 11, 13]])
    inputs = {"input_ids": ids, "pixel_values": square(1), "labels": ids}
    plain = model(**inputs).loss
    with remembered_vision_features(model) as counts:
        remembered = [model(**inputs).loss for _ in range(3)]
    assert (counts.computed, counts.reused) == (1, 2)
    assert all(torch.equal(loss, plain) for loss in remembered)


def test_limit_is_kept() -> None:
    owner = llava().model
    size = features(owner.get_image_features(pixel_values=square(1), return_dict=True))[0].nbytes
    with remembered_vision_features(owner, limit_bytes=2 * size + 1) as counts:
        for _ in range(2):
            owner.get_image_features(pixel_values=square(3), return_dict=True)
    assert counts.stored_bytes == 2 * size
    assert (counts.computed, counts.reused, counts.not_stored) == (4, 2, 2)


def test_other_arguments_are_other_features() -> None:
    owner = llava().model
    pixels = square(1)
    with remembered_vision_features(owner) as counts:
        last = owner.get_image_features(pixel_values=pixels, vision_feature_layer=-1, return_dict=True)
        earlier = owner.get_image_features(pixel_values=pixels, vision_feature_layer=-2, return_dict=True)
    assert counts.reused == 0
    assert not torch.equal(features(last)[0], features(earlier)[0])


@pytest.mark.parametrize("grad", [True, False])
def test_trained_tower_is_passed_through(grad: bool) -> None:
    """Also under no_grad, where an output does not show that it depends on trained weights."""
    config = LoraConfig(target_modules=r"model\.vision_tower.*q_proj", init_lora_weights=False)
    model = get_peft_model(llava(), config)
    owner = model.get_base_model().model
    pixels = square(2)
    with remembered_vision_features(model) as counts, torch.set_grad_enabled(grad):
        before = features(owner.get_image_features(pixel_values=pixels, return_dict=True))
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data.add_(1.0)
        after = features(owner.get_image_features(pixel_values=pixels, return_dict=True))
    assert (counts.passed_through, counts.stored_bytes) == (2, 0)
    assert before[0].requires_grad == grad
    assert not torch.equal(before[0], after[0])


class Odd(nn.Module):
    """Returns whatever it was built with."""

    def __init__(self, returned: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.returned = returned

    def get_image_features(self, pixel_values: Tensor, **kwargs: Any) -> Any:
        return self.returned(pixel_values)


@pytest.mark.parametrize(
    "returned",
    [
        lambda pixels: {"features": pixels},
        lambda pixels: pixels.mean(),
        lambda pixels: (pixels, pixels),
        lambda pixels: transformers.modeling_outputs.BaseModelOutput(last_hidden_state=pixels),
    ],
)
def test_odd_outputs_are_passed_through(returned: Callable[[Tensor], Any]) -> None:
    module = Odd(returned)
    pixels = square(2)
    with remembered_vision_features(module) as counts:
        output = module.get_image_features(pixels)
    assert type(output) is type(returned(pixels))
    assert (counts.passed_through, counts.computed) == (1, 0)


@pytest.mark.parametrize("kwargs", [{"hook": object()}, {"sizes": torch.ones(7)}, {"return_dict": False}])
def test_odd_arguments_are_passed_through(kwargs: dict[str, Any]) -> None:
    module = Odd(lambda pixels: pixels)
    with remembered_vision_features(module) as counts:
        module.get_image_features(square(2), **kwargs)
    assert (counts.passed_through, counts.computed) == (1, 0)


def test_plain_tensors_and_sequences_are_understood() -> None:
    pixels = square(3)
    for returned in (lambda value: value * 2, lambda value: list(value), lambda value: value.split(1)):
        module = Odd(returned)
        with remembered_vision_features(module) as counts:
            output = module.get_image_features(pixels)
        assert type(output) is type(returned(pixels))
        assert all(torch.equal(one, other) for one, other in zip(output, returned(pixels), strict=True))
        assert counts.computed == 3


def test_undone_after_an_error() -> None:
    model = llava()

    def fail() -> None:
        with remembered_vision_features(model):
            assert METHOD in model.model.__dict__
            assert METHOD not in model.__dict__
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert METHOD not in model.model.__dict__


def test_model_without_the_method() -> None:
    with remembered_vision_features(nn.Linear(3, 5)) as counts:
        pass
    assert not counts.method_found


def test_trees_over_the_same_weights_and_copies_share_what_is_known() -> None:
    model = llava()
    other = with_shared_weights(model)
    pixels = square(2)
    with remembered_vision_features(model, other) as counts:
        first = features(model.model.get_image_features(pixel_values=pixels, return_dict=True))
        second = features(other.model.get_image_features(pixel_values=pixels, return_dict=True))
        copied = with_shared_weights(model)
        third = features(copied.model.get_image_features(pixel_values=pixels, return_dict=True))
    assert (counts.computed, counts.reused) == (2, 4)
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))
    assert all(torch.equal(one, two) for one, two in zip(first, third, strict=True))
    assert METHOD not in other.model.__dict__


def test_generation_goes_through_the_memory() -> None:
    """Its code looks up the arguments of the method before it calls it."""
    model: Any = llava()
    ids = torch.tensor([[1, 5, *[IMAGE] * 4, 7, 8]])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": square(1)}
    plain = model.generate(**inputs, max_new_tokens=3, do_sample=False)
    with remembered_vision_features(model) as counts:
        answers = [model.generate(**inputs, max_new_tokens=3, do_sample=False) for _ in range(2)]
    assert (counts.computed, counts.reused, counts.passed_through) == (1, 1, 0)
    assert all(torch.equal(answer, plain) for answer in answers)
