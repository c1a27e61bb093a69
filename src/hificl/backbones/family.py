"""A family of backbones as data: how it is recognised, prompted, shown images, stopped, and how large it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hificl.backbones.instructions import Forms
from hificl.backbones.prompts import PromptForm


@dataclass(frozen=True)
class GenerationForm:
    """How answers are generated and cut: greedily, with the key-value cache."""

    max_new_tokens: int = 20
    """Most tokens of one answer, end token included."""

    stop_words: tuple[str, ...] = ()
    """The decoded answer is cut at the first of these, unless the prompt form has its own; the end token of the prompt
    form stops it earlier."""


@dataclass(frozen=True)
class PackagedWeights:
    """A GGUF file inside a Python package that is installed or fetched, never imported."""

    package: str
    """Name in the manifest of packages, which holds the version."""

    module: str
    """Folder of the package that holds the file."""

    file: str
    """Name of the file."""

    sha256: str
    """What the file must be."""


@dataclass(frozen=True)
class Family:
    """One family of backbones. Data only: nothing here is code that a model runs."""

    name: str
    """Key in ``BACKBONES``."""

    description: str
    """One line for lists and help."""

    prompt: PromptForm
    """The form used in training and evaluation."""

    plain_prompt: PromptForm | None = None
    """The form for a checkpoint of this family that has no chat template, when ``prompt`` is a chat form."""

    prompts: Forms = field(default_factory=dict)
    """Forms by name and kind of task beside the two above, which are for questions: "official", what the published
    code of the paper renders, and "default" and "default-plain" for other kinds; see ``find_form``."""

    generation: GenerationForm = GenerationForm()
    """Length of answers and stop words."""

    match: Mapping[str, Any] = field(default_factory=dict)
    """Dotted config keys with the values that mark this family, all of which must agree; a tuple names several."""

    hub_ids: tuple[str, ...] = ()
    """Hub ids under which the family is published; the first one stands for the family's name."""

    packaged: PackagedWeights | None = None
    """Where the weights come without a hub; then the family's name stands for these."""

    image_settings: Mapping[str, Any] = field(default_factory=dict)
    """Attributes set on the image processor; stored with every adapter."""

    interleaved: bool = False
    """The processor takes a list of texts and images instead of one text with image marks."""

    processor_appends: str = ""
    """Text that the processor itself puts behind every prompt; it is taken off the rendered prompt first."""

    answer_token_type: int = 0
    """Token type of answer tokens, for models whose processor returns token types."""

    geometry: Mapping[str, Any] = field(default_factory=dict)
    """Config of the published size, enough to build it on the meta device; empty when there is no fixed size."""

    training_defaults: Mapping[str, Any] = field(default_factory=dict)
    """Recipe values that replace the general ones for this family; written in every record that used them."""
