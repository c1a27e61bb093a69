"""The side of a worker process: a message a line comes in, an answer a line goes out, and nobody outlives the parent.

Started as ``python -m hificl.experiments.serving DESCRIPTOR`` with one end of a socket pair; no torch is imported here.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any

Handle = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""From a message to its answer, both JSON values."""

ORPHANED = 3
"""Exit code of a worker whose parent is gone."""


def serve(handle: Handle, connection: socket.socket) -> None:
    """Answer messages in their order until the other side closes the connection; then end the process at once.

    A thread reads, so that a worker in the middle of a cell notices as well: a grid that was killed and is started
    again must not find somebody else at work in its folders.
    """
    messages: SimpleQueue[Mapping[str, Any]] = SimpleQueue()
    threading.Thread(target=_read, args=(connection, messages), daemon=True).start()
    with connection.makefile("w", encoding="utf-8") as answers:
        while True:
            answers.write(json.dumps(handle(messages.get())) + "\n")
            answers.flush()


def _read(connection: socket.socket, messages: SimpleQueue[Mapping[str, Any]]) -> None:
    try:
        with connection.makefile("r", encoding="utf-8") as lines:
            for line in lines:
                messages.put(json.loads(line))
    finally:  # a parent that was killed before it read an answer resets the connection, which is an error here
        os._exit(ORPHANED)


def main() -> None:
    """Serve with a worker."""
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        import transformers

        from hificl.experiments.worker import Worker

        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        serve(Worker().handle, connection)


if __name__ == "__main__":
    main()
