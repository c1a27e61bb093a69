"""Real demonstrations as virtual pairs: captured in the frozen model, compressed, written into an adapter."""

from hificl.context.capture import Captured, capture
from hificl.context.start import Started, capture_demonstrations, initialise_from_demonstrations

__all__ = [
    "Captured",
    "Started",
    "capture",
    "capture_demonstrations",
    "initialise_from_demonstrations",
]
