"""read_rows: rows become examples; whatever is wrong names the line, the field and the remedy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from hificl.data import Example, read_rows
from hificl.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two images, one below, and one image outside."""
    root = tmp_path / "set"
    (root / "sub").mkdir(parents=True)
    for path in (root / "a.png", root / "sub" / "b c.png", tmp_path / "outside.png"):
        Image.new("RGB", (3, 2)).save(path)
    return root


def jsonl(folder: Path, *rows: object) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def row(**change: object) -> dict[str, object]:
    cells: dict[str, object] = {"image": "a.png", "question": "what?", "answer": "red"}
    return {name: value for name, value in (cells | change).items() if value is not ...}


def test_jsonl_and_csv_give_the_same_examples(folder: Path) -> None:
    path = jsonl(
        folder,
        {"id": "first", "image": "a.png", "question": " Which? ", "answers": ["red ", "dark red"], "level": "easy"},
        {"id": "2", "image": ["a.png", "sub/b c.png"], "question": "Same, or not?", "answers": "no", "level": "hard"},
    )
    table = folder / "rows.csv"
    table.write_text(
        "id,image,question,answers,level\n"
        'first,a.png, Which? ,"[""red "", ""dark red""]",easy\n'
        '2,"[""a.png"", ""sub/b c.png""]","Same, or not?",no,hard\n'
    )
    examples = read_rows(path)
    assert read_rows(table) == examples
    assert [example.id for example in examples] == ["first", "2"]
    assert examples[0].question == "Which?"
    assert examples[0].answers == ("red", "dark red")
    assert examples[0].meta == {"level": "easy"}
    assert examples[1].images == (folder / "a.png", folder / "sub" / "b c.png")


def test_ids_are_row_numbers_unless_given(folder: Path) -> None:
    assert [example.id for example in read_rows(jsonl(folder, row(), row(id=17), row()))] == ["1", "17", "3"]


def test_an_answer_in_brackets_is_a_text_unless_it_is_a_list(folder: Path) -> None:
    examples = read_rows(jsonl(folder, row(answer="[sic]"), row(answer='["a", "b"]')))
    assert [example.answers for example in examples] == [("[sic]",), ("a", "b")]


def test_an_empty_list_of_images_is_allowed(folder: Path) -> None:
    assert read_rows(jsonl(folder, row(image=[])))[0].images == ()


def test_columns_can_be_mapped(folder: Path) -> None:
    path = jsonl(folder, {"nr": 5, "file": "a.png", "q": "what?", "a": ["red"], "question": "unused"})
    (example,) = read_rows(path, columns={"id": "nr", "images": "file", "question": "q", "answers": "a"})
    assert (example.id, example.question, example.answers) == ("5", "what?", ("red",))
    assert example.meta == {"question": "unused"}


def test_answers_may_be_missing_only_when_they_are_not_required(folder: Path) -> None:
    for cells in (row(answer=...), row(answer=None), row(answer=" "), row(answer=[])):
        path = jsonl(folder, row(), cells)
        assert read_rows(path, require_answers=False)[1].answers == ()
        with pytest.raises(InputError, match=r"rows.jsonl:2: .*answer"):
            read_rows(path)
    with pytest.raises(InputError, match="'answer': expected a text, got 3"):
        read_rows(jsonl(folder, row(answer=3)), require_answers=False)


def test_images_root_is_the_folder_of_the_file_by_default(folder: Path) -> None:
    path = jsonl(folder, row(image="b c.png"))
    assert read_rows(path, images_root=folder / "sub")[0].images == (folder / "sub" / "b c.png",)
    with pytest.raises(InputError, match=r"rows.jsonl:1: column 'image': image 'b c.png' does not exist"):
        read_rows(path)
    for root, message in {folder / "none": "cannot be opened", folder / "a.png": "is not a folder"}.items():
        with pytest.raises(InputError, match=message):
            read_rows(path, images_root=root)


def test_paths_must_stay_in_the_images_folder(folder: Path) -> None:
    outside = folder.parent / "outside.png"
    (folder / "link.png").symlink_to(outside)
    (folder / "up").symlink_to(folder.parent)
    for path in ("../outside.png", str(outside), "link.png", "up/outside.png", "sub/../../outside.png"):
        with pytest.raises(InputError, match=r"rows.jsonl:2: column 'image': .*leaves the images folder"):
            read_rows(jsonl(folder, row(), row(image=path)))
    inside = ("sub/../a.png", str(folder / "a.png"))
    examples = read_rows(jsonl(folder, *(row(image=path) for path in inside)))
    assert [example.images for example in examples] == [(folder / "a.png",)] * 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"question": ..., "qestion": "what?"}, "no column 'question' (nearest: 'qestion'); the columns are 'image'"),
        ({"answer": ..., "Answer": "red"}, "no column 'answer' (nearest: 'Answer')"),
        ({"image": ...}, "no column 'image'; the columns are 'question', 'answer'; rename one or map it"),
        ({"images": "a.png"}, "both columns 'image' and 'images' are there"),
        ({"question": " "}, "column 'question': is empty; write the question"),
        ({"question": ["what?"]}, "column 'question': expected a text, got [\"what?\"]"),
        ({"question": None}, "column 'question': expected a text, got null"),
        ({"question": "\ud800"}, "column 'question': holds half of a surrogate pair"),
        ({"answer": ""}, "column 'answer': is empty; write the answer or leave the row out"),
        ({"answer": []}, "column 'answer': is an empty list"),
        ({"answer": ["red", ""]}, "column 'answer', item 2: is empty"),
        ({"answer": ["red", 4]}, "column 'answer', item 2: expected a text, got 4"),
        ({"answer": True}, "column 'answer': expected a text, got true"),
        ({"image": None}, "column 'image': expected a text, got null"),
        ({"image": ""}, "column 'image': is empty; write the path of the image"),
        ({"image": "b.png"}, "image 'b.png' does not exist in the images folder"),
        ({"image": "sub"}, "image 'sub' does not exist"),
        ({"image": "a\0.png"}, "no usable path"),
        ({"image": "https://example.org/a.png"}, "nothing is downloaded"),
        ({"id": True}, "column 'id': expected a text, got true"),
        ({"id": ""}, "column 'id': is empty"),
        ({"id": "1"}, "the id '1' stands also in rows.jsonl:1"),
    ],
)
def test_errors_name_line_field_and_remedy(folder: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as error:
        read_rows(jsonl(folder, row(), row(**change)))
    assert str(error.value).startswith("rows.jsonl:2: ")
    assert message in str(error.value)


def test_unknown_columns_name_the_nearest(folder: Path) -> None:
    path = jsonl(folder, row())
    with pytest.raises(InputError, match=r"no column 'questions' \(nearest: 'question'\)"):
        read_rows(path, columns={"question": "questions"})
    with pytest.raises(InputError, match=r"rows.jsonl:1: no column 'nr'"):
        read_rows(path, columns={"id": "nr"})
    with pytest.raises(InputError, match=r"unknown field 'qestion' \(nearest: 'question'\); fields are id, image"):
        read_rows(path, columns={"qestion": "q"})
    with pytest.raises(InputError, match="field 'question' needs the name of a column, got ''"):
        read_rows(path, columns={"question": ""})


def rows_or_refusal(path: Path, require_answers: bool) -> list[Example] | str:
    try:
        return read_rows(path, require_answers=require_answers)
    except InputError as error:
        return str(error)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["a.png", "../x", "[", "["]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["id", "image", "images", "question", "answer", "answers", "q"])
CELLS = st.dictionaries(NAMES, VALUES, max_size=5)
FUZZ = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(rows=st.lists(CELLS, max_size=3), required=st.booleans())
def test_any_json_is_read_or_refused(folder: Path, rows: list[dict[str, object]], required: bool) -> None:
    path = folder / "fuzz.jsonl"
    path.write_text("\n".join(json.dumps(cells) for cells in rows), encoding="utf-8")
    outcome = rows_or_refusal(path, required)
    assert path.name in outcome if isinstance(outcome, str) else len(outcome) == len(rows)


@FUZZ
@given(
    suffix=st.sampled_from([".jsonl", ".json", ".csv"]),
    content=st.binary(max_size=60)
    | st.text(alphabet='[]{}":,\\\n\r ae0\ud7ff', max_size=60).map(str.encode)
    | st.binary(max_size=30).map(lambda tail: b"image,question,answer\na.png,what?," + tail),
)
def test_any_bytes_are_read_or_refused(folder: Path, suffix: str, content: bytes) -> None:
    path = folder / f"fuzz{suffix}"
    path.write_bytes(content)
    outcome = rows_or_refusal(path, True)
    assert path.name in outcome if isinstance(outcome, str) else outcome
