"""Worker processes on this machine: the parent hands out messages, starts a dead worker anew, and gives up on one cell.

A worker is a fresh interpreter on one end of a socket pair, so no script has to guard its main part and nothing is
pickled.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

Message = Mapping[str, Any]

SERVING = (sys.executable, "-m", "hificl.experiments.serving")
ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
ATTEMPTS = 2
"""How often a message is given to a worker before its death counts as the answer."""


class Pool(Protocol):
    """Whoever answers messages, each once, in any order."""

    size: int
    """How many at a time."""

    def answers(self, messages: Sequence[Message]) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield the number of a message and its answer, as they come in."""

    def close(self) -> None:
        """End all workers at once, whatever they do."""


@dataclass
class _Process:
    """One worker."""

    process: subprocess.Popen[bytes]
    connection: socket.socket
    number: int
    unread: bytearray = field(default_factory=bytearray)
    busy: int | None = None
    """Number of the message that it works on."""


class LocalPool:
    """Worker processes on this machine, started when they are first needed.

    Args:
        size: Number of workers.
        log: Folder of what workers print; one file each.
        kept_open: A descriptor that workers inherit, so that a lock on it lasts as long as any of them lives.
        command: How a worker is started; the number of its descriptor follows.
    """

    def __init__(self, size: int, log: Path, kept_open: int | None = None, command: Sequence[str] = SERVING) -> None:
        self.size, self.log, self.kept_open, self.command = size, log, kept_open, tuple(command)
        self._processes: list[_Process] = []
        self._selector = selectors.DefaultSelector()

    def answers(self, messages: Sequence[Message]) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield the number of a message and its answer, as they come in; the first messages begin first."""
        waiting, attempts = deque(range(len(messages))), [0] * len(messages)
        left = len(messages)
        while left:
            while waiting and (idle := self._idle()) is not None:
                begun = waiting.popleft()
                attempts[begun] += 1
                self._send(idle, begun, messages[begun])
            for worker, answer in self._wait():
                number = worker.busy
                assert number is not None
                worker.busy = None
                code = self._bury(worker) if answer is None else 0
                if answer is None and attempts[number] < ATTEMPTS:
                    waiting.appendleft(number)
                    continue
                left -= 1
                yield number, {"error": _death(code)} if answer is None else answer

    def close(self) -> None:
        """End all workers at once, whatever they do."""
        for worker in list(self._processes):
            self._bury(worker)
        self._selector.close()

    def _idle(self) -> _Process | None:
        for worker in self._processes:
            if worker.busy is None:
                return worker
        return self._start() if len(self._processes) < self.size else None

    def _start(self) -> _Process:
        numbers = {worker.number for worker in self._processes}
        number = next(place for place in range(self.size) if place not in numbers)
        ours, theirs = socket.socketpair()
        passed = [theirs.fileno(), *([] if self.kept_open is None else [self.kept_open])]
        self.log.mkdir(parents=True, exist_ok=True)
        with (self.log / f"worker_{number}.log").open("ab") as log:
            process = subprocess.Popen(
                [*self.command, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=passed,
                # Ctrl-C is for the parent alone, which ends its workers itself.
                start_new_session=True,
                env={**os.environ, **dict.fromkeys(ONE_THREAD, "1"), "TOKENIZERS_PARALLELISM": "false"},
            )
        theirs.close()
        worker = _Process(process, ours, number)
        self._processes.append(worker)
        self._selector.register(ours, selectors.EVENT_READ, worker)
        return worker

    def _send(self, worker: _Process, number: int, message: Message) -> None:
        worker.busy = number
        try:
            worker.connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            return  # it is dead, as the end of its answers will say

    def _wait(self) -> Iterator[tuple[_Process, Mapping[str, Any] | None]]:
        """Yield the workers that have answered, with None for those that died over a message."""
        for key, _ in self._selector.select():
            worker: _Process = key.data
            try:
                part = worker.connection.recv(1 << 20)
            except ConnectionError:
                part = b""
            worker.unread += part
            if part and not part.endswith(b"\n"):
                continue
            if not part and worker.busy is None:
                self._bury(worker)
                continue
            yield worker, json.loads(worker.unread) if part else None
            worker.unread.clear()

    def _bury(self, worker: _Process) -> int:
        """End a worker and return its exit code."""
        self._selector.unregister(worker.connection)
        self._processes.remove(worker)
        worker.process.kill()
        worker.connection.close()
        return worker.process.wait()


def _death(code: int) -> dict[str, Any]:
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    told = f"its worker died {ATTEMPTS} times over it, the last time by {how}; the machine may lack memory."
    return {"type": "WorkerDied", "message": told, "traceback": None}
