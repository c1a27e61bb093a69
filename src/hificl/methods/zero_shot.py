"""The frozen model as it is: the floor that every other method must beat."""

from __future__ import annotations

from hificl.methods.method import Method

ZERO_SHOT = Method(
    name="zero_shot",
    description="the frozen model, no demonstrations, no learned parameters",
    learned=False,
)
