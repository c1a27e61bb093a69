"""Runs pieces of code, each in a process that has imported torch and nothing that looks for PEFT.

Used by test_registration.py. Reads one piece a line, as JSON, and answers each with a line: the piece, the status of
its process (0 where it ended well) and what it printed. torch takes two thirds of the time of an import of PEFT and
knows nothing of it, so it is imported once, and each piece runs in a fork.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback

import torch._dynamo  # noqa: F401  (transformers imports it, and with it most of torch)


def run(code: str) -> tuple[str, int, str]:
    """Run code in a fork."""
    with tempfile.TemporaryFile() as told:
        process = os.fork()
        if process == 0:
            status = 1
            try:
                for stream in (1, 2):
                    os.dup2(told.fileno(), stream)
                exec(code, {"__name__": "__main__"})
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(status)
        _, status = os.waitpid(process, 0)
        told.seek(0)
        return code, status, told.read().decode()


if __name__ == "__main__":
    assert not {"peft", "transformers", "hificl"} & set(sys.modules)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
