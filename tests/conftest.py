"""Settings of all tests: one thread, no network. Nothing is imported by name from here."""

from __future__ import annotations

import gc
import os
import socket
from typing import NoReturn

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"
# On some processors MKL's sums depend on where in memory a tensor lies, unless it is told that they must not.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")

LOCAL = ("127.0.0.1", "localhost", "::1")


def pytest_collection() -> None:
    """Imports make much that lives and little garbage."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Keep what imports have left out of garbage collections: every training asks for a full one, 0.3 s each."""
    gc.enable()
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Give it back before hypothesis ends, which asks the collector who refers to its generators."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that leaves this machine."""
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: object) -> object:
        if isinstance(address, str | bytes) or (isinstance(address, tuple) and address[0] in LOCAL):
            return connect(self, address)
        return _refused(address)

    monkeypatch.setattr(socket.socket, "connect", refuse)


def _refused(address: object) -> NoReturn:
    raise AssertionError(f"a test reached for the network: {address}")
