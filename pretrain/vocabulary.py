"""The byte-level BPE tokenizer, trained on the words of the pretraining."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from pretrain import wording
from pretrain.data.scenes import COLORS, SHAPES, SIDES, SIZES

PAD, BOS, EOS, IMAGE = "<pad>", "<s>", "</s>", "<image>"


def corpus(names: Iterable[str]) -> list[str]:
    """Return the training text: answer words often, questions often, names a few times each."""
    answers = [*COLORS, *SHAPES, *SIZES, *SIDES, *wording.COUNT_WORDS, *wording.KIND_WORDS.values(), "yes", "no"]
    affixes = wording.REAL_AFFIXES
    words = [*answers, *wording.MADE_UP, *affixes]
    text = [f" {word}" for word in words] * 300
    text += [f" {form}" for word in answers for form in (word.upper(), word.capitalize())] * 200
    lists = [
        *(wording.COLOR_BARE, wording.COLOR_NAMED, wording.SHAPE_BARE, wording.SHAPE_NAMED),
        *(wording.PRESENT, wording.ABSENT, wording.COUNT, wording.SIZE, wording.SIDE),
        *(wording.NAME, *wording.NAMED.values(), *wording.FACTS.values(), wording.GENERIC),
    ]
    for templates in lists:
        for template in templates:
            for color, shape in zip(COLORS, SHAPES * 2, strict=True):
                filled = template.format(
                    a=f"a {color} {shape}", bare=f"{color} shape", color=color, shape=shape, x=color
                )
                text += [f" {filled} A:"] * 20
    text += [" " + sentence.format(x="red") for sentence in wording.SENTENCES] * 200
    text += [f" a {color} {shape} and an {shape}," for color in COLORS for shape in SHAPES] * 20
    return text + [f" {name}" for name in names for _ in range(4)]


def train_tokenizer(names: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Return a tokenizer of at most `vocabulary` entries that pads left and begins every text with `<s>`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, BOS, EOS, IMAGE],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(names), trainer)
    bos = tokenizer.token_to_id(BOS)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, bos)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        extra_special_tokens={"image_token": IMAGE},
        padding_side="left",
        model_max_length=2048,
        clean_up_tokenization_spaces=False,
    )
