"""Every method and every named variant in one comparison, on a tiny model."""

from __future__ import annotations

from pathlib import Path

import pytest

from hificl.backbones import Backbone
from hificl.comparison import VARIANTS, compare, count_methods
from hificl.tasks import TaskData


@pytest.mark.slow
def test_all_of_them_run_and_store_what_was_counted(backbone: Backbone, data: TaskData, tmp_path: Path) -> None:
    few = {
        "steps": 2, "batch_size": 2, "micro_batch_size": 2, "holdout": 0.3, "teacher_shots": 2,
        "task_vector.shots": 2, "function_vector.shots": 2, "function_vector.budget": 30, "mtv.shots": 2,
        "mtv.budget": 60, "hificl_start.init_shots": 2, "hificl_robust.init_shots": 2, "hificl_robust.init_captures": 1,
    }  # fmt: skip
    done = compare(backbone, data, task="colours", methods="all,variants", shots=2, output_dir=tmp_path, overrides=few)
    assert done.failed == []
    counted = {row["method"]: row for row in count_methods(backbone.name)["methods"]}
    rows = {row["variant"] or row["method"]: row for row in done.summary["rows"] if row["subset"] == "all"}
    assert rows.keys() == VARIANTS.keys()
    for name, row in rows.items():
        for field in ("trainable_parameters", "stored_parameters"):
            assert row[field] == counted[name][field], (name, field)
        if row["method"] not in ("zero_shot", "icl"):
            assert (tmp_path / name / "seed_0" / "adapter" / "adapter_model.safetensors").is_file()
