"""The trainers and compilers that people use take the adapter as they take any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import PreTrainedTokenizerFast, Trainer, TrainingArguments

import hificl
from closeness import assert_same

from .catalogue import TWINS
from .probes import adapted, adapter_parameters, assert_rows_close, assert_rows_same, budget, row_logits, samples, wrap
from .twins import collate

QUIET = {"report_to": "none", "disable_tqdm": True, "logging_steps": 1, "use_cpu": True, "save_strategy": "no"}


def rows() -> list[dict[str, Tensor]]:
    """Return four prompts without an image, as a data set."""
    prompts = TWINS["llava_qwen2"].text_samples((7, 7, 7, 7))
    return [{**prompt.tokens, "labels": prompt.tokens["input_ids"]} for prompt in prompts]


def assert_only_the_adapter_moved(model: PeftModel, before: dict[str, Tensor]) -> None:
    learned = {key for key, _ in adapter_parameters(model)}
    after = model.state_dict()
    moved = {key for key, value in before.items() if not torch.equal(after[key], value)}
    assert moved == learned


def test_trainer_resumes_to_the_same_bits(tmp_path: Path) -> None:
    """Two epochs at once, or one, a checkpoint and the other."""

    def trained(folder: str, **arguments: object) -> tuple[PeftModel, dict[str, Tensor]]:
        model = wrap(TWINS["llava_qwen2"].build())
        before = {key: value.clone() for key, value in model.state_dict().items()}
        options = {**QUIET, "learning_rate": 1e-2, "per_device_train_batch_size": 2, "max_steps": 4, **arguments}
        resume = options.pop("resume", None)
        Trainer(model, TrainingArguments(tmp_path / folder, **options), train_dataset=rows()).train(resume)
        return model.eval(), before

    whole, before = trained("whole", save_strategy="steps", save_steps=2)
    assert_only_the_adapter_moved(whole, before)
    resumed, _ = trained("resumed", resume=str(tmp_path / "whole" / "checkpoint-2"))
    for (key, left), (_, right) in zip(adapter_parameters(whole), adapter_parameters(resumed), strict=True):
        assert_same(left, right, key)


def test_best_checkpoint_is_loaded_at_the_end(tmp_path: Path) -> None:
    """A learning rate that ruins the adapter: the best checkpoint is the first."""
    model = wrap(TWINS["llama"].build())
    arguments = TrainingArguments(
        tmp_path,
        **{**QUIET, "save_strategy": "steps"},
        save_steps=1,
        max_steps=3,
        learning_rate=10.0,
        eval_strategy="steps",
        eval_steps=1,
        load_best_model_at_end=True,
        metric_for_best_model="loss",
    )
    trainer = Trainer(model, arguments, train_dataset=rows(), eval_dataset=rows())
    trainer.train()
    best = PeftModel.from_pretrained(TWINS["llama"].build(), trainer.state.best_model_checkpoint)
    batch = collate(samples("llama"))
    assert_rows_same(row_logits(model.eval(), batch), row_logits(best, batch))


def test_sft_trainer_takes_the_config(tmp_path: Path) -> None:
    trl = pytest.importorskip("trl")
    from datasets import Dataset

    words = Tokenizer(models.WordLevel({"<pad>": 0, "<s>": 1, "</s>": 2, "red": 3, "blue": 4, "<unk>": 5}, "<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    trainer = trl.SFTTrainer(
        TWINS["qwen2"].build(),
        args=trl.SFTConfig(
            str(tmp_path), **QUIET, max_steps=2, per_device_train_batch_size=2, learning_rate=1e-2, bf16=False
        ),
        train_dataset=Dataset.from_dict({"text": ["red blue red", "blue red", "blue blue red red"] * 2}),
        processing_class=tokenizer,
        peft_config=hificl.HiFICLConfig(num_virtual_tokens=3, r=2, task_type="CAUSAL_LM"),
    )
    before = {key: value.clone() for key, value in trainer.model.state_dict().items()}
    trainer.train()
    after = trainer.model.state_dict()
    moved = {key for key, value in before.items() if not torch.equal(after[key], value)}
    learned = {key for key, _ in adapter_parameters(trainer.model)}
    assert moved
    assert moved <= learned
    trainer.save_model(str(tmp_path / "saved"))
    assert json.loads((tmp_path / "saved" / "adapter_config.json").read_text())["peft_type"] == "HIFICL"


def test_compiles_to_one_graph() -> None:
    model, batch = adapted("llama"), collate(samples("llama"), "left")
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    positions = TWINS["llama"].positions(batch["attention_mask"])
    actual = row_logits(compiled, batch, use_cache=False, **positions)
    assert_rows_close(actual, row_logits(model, batch, **positions), budget("llama"), "compiled")


@pytest.mark.slow
def test_compiles_with_the_default_backend_and_gradients() -> None:
    model, batch = wrap(TWINS["llama"].build()), collate(samples("llama"))
    model(**batch).logits.sum().backward()
    expected = {key: p.grad.clone() for key, p in adapter_parameters(model)}
    model.zero_grad()
    torch.compile(model, fullgraph=True)(**batch, use_cache=False).logits.sum().backward()
    scale = max(gradient.abs().max() for gradient in expected.values())
    for key, parameter in adapter_parameters(model):
        off = (parameter.grad - expected[key]).abs().max() / scale
        assert off < 100 * torch.finfo(torch.float32).eps, f"{key}: off by {off:.1e} of the largest gradient"
