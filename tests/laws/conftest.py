"""Settings of the law tests: quiet, offline, one thread."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import transformers


@pytest.fixture(autouse=True, scope="session")
def quiet_single_thread() -> Iterator[None]:
    """Tiny matrices lose time to threads, and warnings about tiny vision towers hide real ones."""
    threads, verbosity = torch.get_num_threads(), transformers.logging.get_verbosity()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    yield
    torch.set_num_threads(threads)
    transformers.logging.set_verbosity(verbosity)
