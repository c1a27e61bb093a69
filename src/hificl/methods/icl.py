"""In-context learning: demonstrations in the prompt, no learned parameters (Brown et al., arXiv:2005.14165)."""

from __future__ import annotations

from hificl.methods.method import Method

ICL = Method(
    name="icl",
    description="in-context learning: demonstrations from the support set stand before the query",
    learned=False,
)
