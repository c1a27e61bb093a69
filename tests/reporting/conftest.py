"""One report of everything, for all tests of the page."""

from __future__ import annotations

import pytest

from hificl.reporting import Report, write_report
from reporting.fake_results import write_everything


@pytest.fixture(scope="package")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return write_report(write_everything(tmp_path_factory.mktemp("everything")))
