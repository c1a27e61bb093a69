"""The tiny backbone of the training tests and its examples."""

from __future__ import annotations

from training.conftest import backbone, examples, folder, quiet_single_thread

__all__ = ["backbone", "examples", "folder", "quiet_single_thread"]
