"""Speed and memory against the rivals of each claim: one script per row, records under ``results/speed``."""

import os

# Counting the memory of a call uses torch's profiler, which writes two lines per use to stderr unless told not to.
os.environ.setdefault("KINETO_LOG_LEVEL", "6")
