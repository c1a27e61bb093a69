"""The same workers on an existing Ray cluster; records come back to the driver, which alone writes results.

No storage is shared: a node needs hificl, the model and the data, and works in a temporary folder of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hificl.errors import InputError, RunError
from hificl.experiments.pool import ATTEMPTS, Message

HERE = "local"
"""In place of an address: a Ray of its own on this machine, for a try."""


class RayPool:
    """Workers as Ray actors, each with one model load.

    Args:
        address: Of a running cluster, such as ``"auto"`` or ``"ray://HOST:10001"``; ``"local"`` starts one here.
        size: Number of workers; None: as many as the cluster has room for.
        cpus: Processors of each.
        gpus: GPUs of each; Ray shows a worker no others.
        make: Makes the worker on its node.

    Raises:
        InputError: Ray is not installed, or the cluster has no room for a single worker.
        RunError: There is no cluster at this address.
    """

    def __init__(
        self,
        address: str,
        size: int | None = None,
        cpus: int = 1,
        gpus: float = 0,
        make: Callable[[], Any] | None = None,
    ) -> None:
        self._ray = _imported()
        self._own = not self._ray.is_initialized()
        if self._own:
            self._connect(address)
        room = _room(self._ray.cluster_resources(), cpus, gpus)
        if room < 1:
            raise InputError(f"--ray {address}: no room for a worker with {cpus} CPUs and {gpus} GPUs; give it nodes.")
        self.size = min(size or room, room)
        # A lost worker is made anew here, so that its cell is counted; Ray itself restarts nothing.
        self._kind = self._ray.remote(num_cpus=cpus, num_gpus=gpus, max_restarts=0)(_Actor)
        self._make = make
        self._actors: list[Any] = []

    def answers(self, messages: Sequence[Message]) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield the number of a message and its answer, as they come in; the first messages begin first."""
        waiting, attempts = deque(range(len(messages))), [0] * len(messages)
        idle, running = list(self._actors), dict[Any, tuple[Any, int]]()
        while waiting or running:
            while waiting and len(running) < self.size:
                actor, number = idle.pop() if idle else self._start(), waiting.popleft()
                attempts[number] += 1
                running[actor.handle.remote({**messages[number], "folder": None})] = (actor, number)
            ended, _ = self._ray.wait(list(running), num_returns=1)
            actor, number = running.pop(ended[0])
            try:
                answer = self._ray.get(ended[0])
                idle.append(actor)
            except self._ray.exceptions.RayError as error:
                self._actors.remove(actor)
                if attempts[number] < ATTEMPTS:
                    waiting.appendleft(number)
                    continue
                answer = {"error": _death(error)}
            yield number, answer

    def close(self) -> None:
        """End all workers at once, and the connection where it was made here."""
        for actor in self._actors:
            self._ray.kill(actor)
        if self._own:
            self._ray.shutdown()

    def _start(self) -> Any:
        self._actors.append(self._kind.remote(self._make))
        return self._actors[-1]

    def _connect(self, address: str) -> None:
        try:
            self._ray.init(
                address=address, log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True,
                include_dashboard=False if address == HERE else None,
            )  # fmt: skip
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise RunError(
                f"--ray {address}: no cluster answers there ({error}); start one with `ray start`."
            ) from error


class _Actor:
    """A worker on a node."""

    def __init__(self, make: Callable[[], Any] | None) -> None:
        if make is None:
            from hificl.experiments.worker import Worker

            make = Worker
        self._worker = make()

    def handle(self, message: Message) -> Mapping[str, Any]:
        """Answer one message."""
        answer: Mapping[str, Any] = self._worker.handle(message)
        return answer


def _imported() -> Any:
    try:
        import ray
    except ImportError as error:
        raise InputError("--ray: the package ray is not installed; run: pip install 'hificl[ray]'") from error
    return ray


def _room(resources: Mapping[str, float], cpus: int, gpus: float) -> int:
    """How many workers fit into what the cluster has."""
    by_cpu = resources.get("CPU", 0) // cpus if cpus else float("inf")
    by_gpu = resources.get("GPU", 0) // gpus if gpus else float("inf")
    fitting = min(by_cpu, by_gpu)
    return 1 if fitting == float("inf") else int(fitting)


def _death(error: Exception) -> dict[str, Any]:
    told = f"its worker was lost {ATTEMPTS} times over it ({' '.join(str(error).split())[:300]})"
    return {"type": "WorkerDied", "message": told, "traceback": None}
