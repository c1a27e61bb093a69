"""A cache with the small packages, and the manifest that describes them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small_packages import SmallPackages, write_packages


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> SmallPackages:
    return write_packages(tmp_path_factory.mktemp("packages"))


@pytest.fixture
def small(written: SmallPackages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallPackages:
    copy = SmallPackages(tmp_path / "cache", tmp_path / "packages.json")
    shutil.copytree(written.cache, copy.cache)
    shutil.copy(written.manifest, copy.manifest)
    monkeypatch.setattr("hificl.data.packages.MANIFEST", copy.manifest)
    return copy
