"""Every method under the same conditions: one table with costs, intervals and a paired test against HiFICL."""

from __future__ import annotations

from hificl.comparison.agenda import Step
from hificl.comparison.comparison import Comparison, compare, seeds_of
from hificl.comparison.counts import count_methods
from hificl.comparison.overrides import split_overrides
from hificl.comparison.search import run_search, split_validation
from hificl.comparison.values import Values, store_values, stored_values
from hificl.comparison.variants import VARIANTS, Variant, find_variants

__all__ = [
    "VARIANTS",
    "Comparison",
    "Step",
    "Values",
    "Variant",
    "compare",
    "count_methods",
    "find_variants",
    "run_search",
    "seeds_of",
    "split_overrides",
    "split_validation",
    "store_values",
    "stored_values",
]
