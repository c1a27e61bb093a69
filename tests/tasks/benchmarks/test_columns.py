"""The column adapter: the first that fits, own names by field, and what is said when none fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from hificl.errors import InputError
from hificl.tasks import TASKS, TaskWarning
from hificl.tasks.benchmarks.columns import Columns, fitting
from tasks.benchmarks.layouts import picture, vqa_rows
from tasks.benchmarks.mirrors import write_parquet

FIRST = Columns({"id": "question_id", "answers": "answers"}, optional={"kind": "type"})
SECOND = Columns({"id": "question_id"}, image=None)


def test_the_first_adapter_that_fits_is_used() -> None:
    present = ["question_id", "answers", "image", "other"]
    assert fitting((FIRST, SECOND), None, present, "a") is not None
    assert fitting((FIRST, SECOND), None, present, "a").missing(present) == []
    assert fitting((FIRST, SECOND), None, ["question_id"], "a").image is None
    renamed = FIRST.renamed({"question_id": 7, "answers": ["x"], "type": "why", "other": 0})
    assert renamed == {"id": 7, "answers": ["x"], "kind": "why"}
    assert FIRST.renamed({"question_id": 7, "answers": []}) == {"id": 7, "answers": []}


def test_own_names_go_before_those_of_the_adapter() -> None:
    own = FIRST.with_names({"answers": "gt", "image": "picture", "kind": "k"})
    assert (own.fields, own.image) == ({"id": "question_id", "answers": "gt", "kind": "k"}, "picture")
    assert own.missing(["question_id", "gt"]) == ["k", "picture"]  # a field that somebody names is not optional


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"answer": "gt"}, "columns: unknown field 'answer' (nearest: 'answers'); fields are answers, id, image, kind"),
        ({"answers": 3}, "columns: field 'answers' needs the name of a column, got 3"),
        ({"answers": "gt"}, "v.parquet: no column 'gt'; the columns are 'answers', 'image', 'question_id'"),
    ],
)
def test_names_that_do_not_fit(names: dict[str, str], message: str) -> None:
    with pytest.raises(InputError) as error:
        fitting((FIRST,), names, ["question_id", "answers", "image"], "v.parquet")
    assert message in str(error.value)


def test_a_mirror_with_columns_of_its_own(tmp_path: Path) -> None:
    questions, annotations = vqa_rows("val")
    rows = [
        {"qid": one["question_id"], "q": one["question"], "gt": [answer["answer"] for answer in other["answers"]]}
        for one, other in zip(questions, annotations, strict=True)
    ]
    write_parquet(tmp_path / "val.parquet", [{**row, "pic": picture(at)} for at, row in enumerate(rows)])
    with pytest.raises(InputError, match="no column 'question_id', 'question', 'image'; the columns are 'gt', 'pic'"):
        TASKS["vqav2"].load(tmp_path)
    names = {"question_id": "qid", "question": "q", "answers": "gt", "image": "pic"}
    with pytest.warns(TaskWarning):
        data = TASKS["vqav2"].load(tmp_path, columns=names)
    assert len(data.queries) == 11
    assert {len(one.answers) for one in data.queries} == {10}
