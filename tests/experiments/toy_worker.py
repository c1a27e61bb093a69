"""A worker without models: what it answers depends on the job alone. Seed 90 and above: it fails or dies.

Run as a script with the number of a descriptor, as the pool starts it.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

IDS = [f"q{number}" for number in range(7)]
QUERIES = "data/toy-queries.json"

FAILS, DIES, DIES_ONCE = 90, 91, 92
"""Seeds."""


def answer(message: Mapping[str, Any]) -> dict[str, Any]:
    """Answer as a real worker does; the record takes a moment in several steps, kept in the folder of the job."""
    job = message["job"]
    digest = hashlib.sha256(repr(sorted(job.items())).encode()).hexdigest()
    if message["do"] == "identify":
        return {"hash": digest, "name": f"toy_seed{job['seed']}", "lists": [QUERIES], "queries": QUERIES}
    if message["do"] == "lists":
        content = {"kind": "examples", "ids": IDS, "hash": "of the ids"}
        return {"lists": {QUERIES: content}, "images": {"q3": "aGVsbG8="}}
    folder = Path(message["folder"] or ".")
    if job["seed"] == FAILS:
        return {"error": {"type": "RunError", "message": "no luck", "traceback": None}}
    if job["seed"] == DIES or (job["seed"] == DIES_ONCE and not (folder / "died").exists()):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "died").touch()
        os.kill(os.getpid(), 9)
    time.sleep(float(os.environ.get("TOY_SECONDS", "0")))
    scores = [int(sign, 16) / 15 for sign in digest[: len(IDS)]]
    record = {
        "kind": "cell",
        "seed": job["seed"],
        "results": {"scores": scores},
        "volatile": {"date": time.time(), "pid": os.getpid()},
    }
    return {"record": record, "hash": digest}


class Toy:
    """In the form that Ray wants: the name of its node stands for what differs between workers."""

    def handle(self, message: Mapping[str, Any]) -> dict[str, Any]:
        return answer(message)


if __name__ == "__main__":
    from hificl.experiments.serving import serve

    with socket.socket(fileno=int(sys.argv[1])) as connection:
        serve(answer, connection)
