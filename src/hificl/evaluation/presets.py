"""How answers are generated under a published protocol: beams, length, length penalty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from hificl.backbones import Backbone
from hificl.errors import InputError


@dataclass(frozen=True)
class Decoding:
    """Numbers of the search for an answer. Nothing is ever sampled.

    Raises:
        InputError: Fewer than one beam or one new token.
    """

    num_beams: int = 1
    """Beams; 1 is greedy decoding."""

    max_new_tokens: int | None = None
    """Most tokens of one answer, end token included; None: the number of the family."""

    length_penalty: float = 1.0
    """Beam scores are divided by the length to this power; 0.0 favours short answers. Greedy decoding ignores it."""

    def __post_init__(self) -> None:
        for name in ("num_beams", "max_new_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}; give 1 or more.")


GREEDY = Decoding()
"""What counts where nothing else is asked for."""


@dataclass(frozen=True)
class Preset:
    """What one protocol prescribes; the most special entry counts: family, then kind of task, then ``general``."""

    description: str
    """Whose numbers these are."""

    general: Decoding
    """For everything else."""

    families: Mapping[str, Decoding] = field(default_factory=dict)
    """By family of backbones."""

    kinds: Mapping[str, Decoding] = field(default_factory=dict)
    """By kind of task."""


_TWENTY = Decoding(num_beams=3, max_new_tokens=20, length_penalty=0.0)
_GREEDY_TWENTY = Decoding(num_beams=1, max_new_tokens=20, length_penalty=0.0)

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "default": Preset("greedy, length of the family", GREEDY),
        "hificl": Preset(
            "the published code of HiFICL: 3 beams, in its folder for Idefics 1; 20 tokens",
            _TWENTY,
            families={"idefics": _GREEDY_TWENTY, "idefics2": _GREEDY_TWENTY},
        ),
        # The publication names no length penalty; this one is the usual default.
        "stave": Preset("the re-runs of STAVE: 3 beams, 20 tokens", Decoding(num_beams=3, max_new_tokens=20)),
        "mimic": Preset(
            "the published code of MimIC: 3 beams, 10 tokens, captions 20",
            Decoding(num_beams=3, max_new_tokens=10, length_penalty=0.0),
            kinds={"caption": _TWENTY},
        ),
        "live": Preset(
            "the published code of LIVE: 3 beams, 5 tokens, captions 20",
            Decoding(num_beams=3, max_new_tokens=5, length_penalty=0.0),
            kinds={"caption": _TWENTY},
        ),
    }
)
"""Presets by name, those of benchmark protocols under the name of the protocol."""


def find_decoding(name: str, backbone: Backbone, kind: str = "vqa") -> Decoding:
    """The numbers of a preset for a backbone and a kind of task.

    Raises:
        InputError: No preset has this name.
    """
    if name not in PRESETS:
        raise InputError(f"generation preset {name!r} is unknown; known are {', '.join(PRESETS)}.")
    preset = PRESETS[name]
    return preset.families.get(backbone.family.name) or preset.kinds.get(kind) or preset.general
