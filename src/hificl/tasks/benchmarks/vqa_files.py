"""Question and annotation files in the format of the VQA challenge, shared by VQAv2 and OK-VQA."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hificl.data import Example, ImageSource
from hificl.data.tables import Row
from hificl.errors import InputError
from hificl.tasks.benchmarks import fields
from hificl.tasks.benchmarks.coco_images import FOLDERS, coco_file, coco_key
from hificl.tasks.benchmarks.json_rows import JsonRows, rows_of_array
from hificl.tasks.benchmarks.root import Root, under
from hificl.tasks.benchmarks.split import Split, double_ids, key_of

ANSWERS = 10
"""Answers that annotators gave to every question."""


def open_vqa(
    task: str, root: Root, split: str, part: str, questions_file: str, annotations_file: str | None
) -> Split | None:
    """Open a split of a question file and, where there is one, its annotation file, joined by ``question_id``.

    Args:
        task: Name of the benchmark, for the ids.
        root: Where the files are.
        split: Official name of the split.
        part: Folder of its images, such as ``val2014``.
        questions_file: Name of the question file.
        annotations_file: Name of the annotation file; None where the answers are not public.

    Returns:
        The split; None where one of the files is not there.

    Raises:
        InputError: A file is damaged.
    """
    paths = [root.find(name) for name in (questions_file, annotations_file) if name is not None]
    if None in paths:
        return None
    questions, *rest = [
        rows_of_array(path, member, _question_id)
        for path, member in zip(paths, ("questions", "annotations"), strict=False)
        if path is not None
    ]
    annotations = rest[0] if rest else None
    keys = [_key(questions, index) for index in range(len(questions))]
    broken = double_ids(keys, questions.place)
    partner = {} if annotations is None else _partners(questions, keys, annotations, broken)

    def example(position: int) -> Example:
        question = questions.row(position)
        annotation = None if annotations is None else annotations.row(partner[position])
        image_id = fields.integer(question, "image_id", high=10**12 - 1)
        image = root.image(question, "image_id", under(FOLDERS, coco_file(part, image_id)))
        return vqa_example(task, split, question, annotation, [image])

    return Split(split, "raw", len(questions), example, questions.place, broken)


def vqa_example(task: str, split: str, question: Row, annotation: Row | None, images: Sequence[ImageSource]) -> Example:
    """Make an example of a question and its annotation; both may be the same row.

    ``answers`` holds the ten answers with the training target moved to the front: the
    ``multiple_choice_answer`` if it is literally one of them, else the most common one (of equally common ones
    the one given first). VQA accuracy does not depend on their order. The published code trains on the answer of
    the first annotator instead; it is in ``meta["first_answer"]``.

    Raises:
        InputError: A field is wrong, the two rows name different images, or there are not ten answers.
    """
    name = fields.name(question, "question_id")
    meta: dict[str, Any] = {"question_id": name}
    if question.cells.get("image_id") is not None:
        meta["image_id"] = image_id = fields.integer(question, "image_id", high=10**12 - 1)
        meta["image_key"] = coco_key(image_id)
        if annotation is not None and annotation.cells.get("image_id") not in (image_id, None):
            raise fields.wrong(
                question,
                "image_id",
                f"is {image_id}, but {annotation.place} has {annotation.cells['image_id']!r}",
                "correct both",
            )
    text = fields.text(question, "question")
    if annotation is None:
        return Example(f"{task}/{split}/{name}", images, text, [], meta)
    answers = fields.texts(annotation, "answers", inner=("answer",))
    if len(answers) != ANSWERS:
        raise fields.wrong(annotation, "answers", f"has {len(answers)} answers, not {ANSWERS}", "correct the row")
    for field in ("question_type", "answer_type"):
        meta[field] = fields.optional_text(annotation, field)
    meta["first_answer"] = answers[0]
    target = _target(answers, fields.optional_text(annotation, "multiple_choice_answer"))
    answers.insert(0, answers.pop(answers.index(target)))
    return Example(f"{task}/{split}/{name}", images, text, answers, meta)


def _target(answers: Sequence[str], named: str | None) -> str:
    if named in answers:
        return str(named)
    counts = Counter(answers)
    return max(counts, key=lambda answer: (counts[answer], -answers.index(answer)))


def _question_id(parsed: object) -> Any:
    return parsed.get("question_id", ...) if isinstance(parsed, Mapping) else parsed


def _key(rows: JsonRows, index: int) -> str | InputError:
    kept = rows.kept[index]
    if isinstance(kept, int) and not isinstance(kept, bool) and 0 <= kept <= 2**53:
        return str(kept)  # the usual case, 200,000 times
    row = Row(rows.place(index), {} if kept is ... else {"question_id": kept})
    return key_of(row, lambda row: fields.name(row, "question_id"))


def _partners(
    questions: JsonRows, keys: Sequence[str | InputError], annotations: JsonRows, broken: dict[int, InputError]
) -> dict[int, int]:
    """Find the annotation row of every question; what has none or two joins ``broken``."""
    found: dict[str, int] = {}
    doubled: dict[str, int] = {}
    for index in range(len(annotations)):
        key = _key(annotations, index)
        if isinstance(key, str) and found.setdefault(key, index) != index:
            doubled.setdefault(key, index)
    partner: dict[int, int] = {}
    for position, key in enumerate(keys):
        if position in broken or isinstance(key, InputError):
            continue
        place = questions.place(position)
        if key in doubled:
            broken[position] = InputError(
                f"{place}: question_id {key} has two annotations, {annotations.place(found[key])} and "
                f"{annotations.place(doubled[key])}; keep the right one"
            )
        elif key not in found:
            broken[position] = InputError(
                f"{place}: question_id {key} has no row in {annotations.file}; "
                "use the question and annotation files of the same split"
            )
        else:
            partner[position] = found[key]
    return partner
