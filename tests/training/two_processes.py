"""One process of a run under ``accelerate launch``; see test_distributed.py."""

from __future__ import annotations

import json
import sys

import torch
import transformers
from tiny import colour_examples, load_tiny

from hificl.training import train

if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    folder, output, options = sys.argv[1:]
    train(load_tiny(folder), colour_examples(), output_dir=output, **json.loads(options))
