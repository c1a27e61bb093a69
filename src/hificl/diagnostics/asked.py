"""A query as several models read it: alone, and after the demonstrations of every draw, with its answer behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hificl.backbones import Backbone, Encoded, encode
from hificl.data import Example, choose_demonstrations
from hificl.diagnostics.reading import Text
from hificl.errors import InputError
from hificl.training.alignment import aligned_tokens, query_start

DRAW = 2**32
"""Distance between the seeds of two draws; the first is that of an evaluation with the same seed."""


@dataclass(frozen=True)
class Asked:
    """One query with its demonstrations."""

    example: Example
    """Its first answer is read."""

    shown: Sequence[Sequence[Example]]
    """The demonstrations of each draw, in prompt order."""

    plain: Encoded
    """Query and answer alone, as in training."""

    start: int
    """Where the query begins in ``plain``."""

    @classmethod
    def draw(
        cls, backbone: Backbone, query: Example, support: Sequence[Example], shots: int, draws: int, seed: int
    ) -> Asked:
        """Draw demonstrations for a query; it is never among them.

        Raises:
            InputError: It has no answer, there are too few demonstrations, or its tokens merge with what comes before.
        """
        if not query.answers:
            raise InputError(f"sample {query.id!r} has no answer to read; add one or leave the sample out.")
        shown = [choose_demonstrations(support, query, shots, seed + draw * DRAW) for draw in range(draws)]
        plain = encode(backbone, query, answer=query.answers[0])
        return cls(query, shown, plain, query_start(backbone, query, plain))

    def text(self, backbone: Backbone, demonstrations: Sequence[Example]) -> Text:
        """Encode query and answer after demonstrations, without the last token of the end marker.

        Raises:
            InputError: The query or its answer has other tokens there; the message names the sample and both ids.
        """
        answer = self.example.answers[0]
        encoded = encode(backbone, self.example, demonstrations=demonstrations, answer=answer)
        tokens = aligned_tokens(backbone, self.plain, encoded, self.start) - 1
        return Text(replace(encoded, answer_ids=encoded.answer_ids[:-1]), tokens, len(encoded.answer_ids))

    def first(self, draw: int, shots: int) -> Sequence[Example]:
        """Return the first demonstrations of a draw.

        Raises:
            InputError: There are fewer.
        """
        if shots > len(self.shown[draw]):
            raise InputError(
                f"fidelity: a reader has {shots} shots and the reference {len(self.shown[draw])}; it reads the first "
                "ones of the reference, so give it fewer, or the reference more."
            )
        return self.shown[draw][:shots]

    @property
    def longest(self) -> int:
        """A guess at the tokens of its prompt with demonstrations: all rounds are about as long as the query."""
        return self.plain.length * (1 + max(map(len, self.shown)))
