"""What is measured beside scores: fidelity to real demonstrations, the real mass, what training and answers cost."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hificl.diagnostics.fidelity import fidelity, measure_fidelity
from hificl.diagnostics.flops import count_flops, flop_counter
from hificl.diagnostics.inference_cost import inference_cost, measure_inference_cost
from hificl.diagnostics.lines import Reader
from hificl.diagnostics.measure import Measure, Measured, MeasureRequest
from hificl.diagnostics.memory import peak_bytes
from hificl.diagnostics.real_mass import measure_real_mass, real_mass
from hificl.diagnostics.training_cost import measure_training_cost

__all__ = [
    "MEASURES",
    "Measure",
    "MeasureRequest",
    "Measured",
    "Reader",
    "count_flops",
    "fidelity",
    "flop_counter",
    "inference_cost",
    "peak_bytes",
    "real_mass",
]

MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "fidelity": Measure(
            "per layer, how far states and answers are from those with k real demonstrations in the prompt",
            {"shots": 8, "draws": 2, "queries": 100},
            measure_fidelity,
        ),
        "real_mass": Measure(
            "softmax mass on real keys by layer, head and type of token, and what the virtual pairs are and say",
            {"queries": 50, "listed": 64},
            measure_real_mass,
        ),
        "training_cost": Measure(
            "operations, seconds per step and memory of the training or the fit",
            {"counted_steps": None, "timed_steps": 12},
            measure_training_cost,
        ),
        "inference_cost": Measure(
            "prompt tokens, operations, key-value cache and latency of answers, beside zero-shot",
            {"queries": 16, "new_tokens": 8, "rounds": 5},
            measure_inference_cost,
        ),
    }
)
"""Every measure by name."""
