"""A tokenizer like those of LLaMA and Mistral, in the three ways in which such ones write a space before a word."""

from __future__ import annotations

from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from backbones.tiny_models import CORPUS

PREPENDS = ("legacy", "first", "always")
"""Before the first word of every piece between special tokens; of the whole text; of every piece, but once."""

_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def sentence_piece_tokenizer(prepend: str, special: list[str], **options: Any) -> PreTrainedTokenizerFast:
    """Train a small one; it writes the begin mark itself, and spells with bytes what it has not seen."""
    core = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    if prepend == "legacy":
        core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend, split=False)
    marks = ["<unk>", "<pad>", "<s>", "</s>", *special]
    letters = [chr(code) for code in range(33, 127)]
    trainer = trainers.BpeTrainer(
        vocab_size=520, special_tokens=marks + _BYTES, initial_alphabet=[*letters, "▁"], show_progress=False
    )
    words = " ".join([*CORPUS, "User: Assistant: Image: Question: Answer:"] * 30).split()
    core.train_from_iterator(words, trainer)
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    core.add_special_tokens(marks)
    core.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", core.token_to_id("<s>"))])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="<unk>", pad_token="<pad>", bos_token="<s>", eos_token="</s>", **options
    )
