"""What hificl adds to the imports that a user has anyway, and what its help costs, in seconds of fresh processes."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.command import Bench, Script, run
from benchmarks.measure import Spread
from benchmarks.rows import Comparison, Measurement, Target

IMPORT = Target(0.3)
HELP = Target(0.5)

IMPORTS = "import torch, peft, transformers"
TIMED_IMPORT = f"import time; {IMPORTS}; start = time.process_time(); import hificl; print(time.process_time() - start)"
SHOWN_HELP = "import sys; from hificl.cli import main; sys.argv = ['hificl', '--help']; main()"


def printed_seconds(code: str) -> float:
    """Run code in a fresh Python and return the number that it prints."""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def process_seconds(code: str) -> float:
    """Run code in a fresh Python and return the processor time of the whole process."""

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = spent()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return spent() - before


def measure(bench: Bench) -> Iterator[Measurement]:
    """Start each process as often as asked."""
    for count in bench.sizes:
        bench.note(f"{count} processes each")
        found = {
            "import hificl": [printed_seconds(TIMED_IMPORT) for _ in range(count)],
            "hificl --help": [process_seconds(SHOWN_HELP) for _ in range(count)],
            IMPORTS: [process_seconds(IMPORTS) for _ in range(count)],
        }
        seconds = {name: Spread.of(values) for name, values in found.items()}
        yield Measurement(
            SCRIPT.name, {"processes": count}, "processor time of a fresh process",
            (
                Comparison(
                    "added seconds", "import hificl", "", seconds["import hificl"], unit="s", target=IMPORT,
                    note=f"after {IMPORTS}",
                ),
                Comparison(
                    "seconds", "hificl --help", "", seconds["hificl --help"], unit="s", target=HELP, note="Python too"
                ),
                Comparison("seconds", IMPORTS, "", seconds[IMPORTS], unit="s"),
            ),
            seconds,
        )  # fmt: skip


SCRIPT = Script("start_up", __doc__, measure, size_is="processes", sizes=(7,), quick_sizes=(1,))

if __name__ == "__main__":
    sys.exit(run(SCRIPT))
