"""Reports from records: one self-contained page, tables and figures. Reads files only; imports no torch."""

from __future__ import annotations

from hificl.reporting.published import Published, Source, published
from hificl.reporting.report import Report, write_report

__all__ = ["Published", "Report", "Source", "published", "write_report"]
