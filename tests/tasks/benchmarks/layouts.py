"""Benchmarks in their official layouts, with our own pictures: at most 20 rows each."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

TRAIN, VAL = 7, 11
"""Questions or images in the training and validation splits."""


def picture(number: int) -> bytes:
    """Return a JPEG file: a disc on a ground, both coloured by the number; its size is odd."""
    image = Image.new("RGB", (23 + number % 5, 17), (40 + 13 * number % 200, 90, 200 - 11 * number % 180))
    ImageDraw.Draw(image).ellipse((3, 3, 13, 13), fill=(250 - 7 * number % 200, 220, 30))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG")
    return buffer.getvalue()


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def write_picture(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture(number))


def coco_name(part: str, image_id: int) -> str:
    return f"COCO_{part}_{image_id:012d}.jpg"


def vqa_rows(split: str, *, stemmed: bool = False) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Make questions and annotations: two questions per image, ten answers of which six agree."""
    questions, annotations = [], []
    for number in range(TRAIN if split == "train" else VAL):
        image_id = {"train": 300, "val": 500}[split] + number // 2
        ids = {"image_id": image_id, "question_id": image_id * 1000 + number % 2}
        answers = ["two", *["red disc"] * 6, *[f"disc {number}"] * 3]
        entries: list[dict[str, Any]] = [
            {"answer": answer, "answer_confidence": "yes", "answer_id": at} for at, answer in enumerate(answers, 1)
        ]
        if stemmed:
            entries = [{**entry, "raw_answer": f"{entry['answer']}s"} for entry in entries]
        questions.append({**ids, "question": f"What is picture {number} of?"})
        kinds = {"question_type": "what is", "answer_type": "other"}
        annotations.append({**ids, **kinds, "multiple_choice_answer": "red disc", "answers": entries})
    return questions, annotations


def vqav2(root: Path) -> None:
    """Write VQAv2's files for train, val and test-dev."""
    for split in ("train", "val"):
        questions, annotations = vqa_rows(split)
        write_json(
            root / f"v2_OpenEnded_mscoco_{split}2014_questions.json",
            {"info": {"version": "2.0"}, "task_type": "Open-Ended", "questions": questions, "license": {}},
        )
        write_json(root / f"v2_mscoco_{split}2014_annotations.json", {"info": {}, "annotations": annotations})
        _coco_pictures(root, split, [one["image_id"] for one in questions])
    test = [{"image_id": 900 + number, "question_id": 900_000 + number, "question": "What?"} for number in range(3)]
    write_json(root / "v2_OpenEnded_mscoco_test-dev2015_questions.json", {"questions": test})
    for number in range(3):
        write_picture(root / "test2015" / coco_name("test2015", 900 + number), number)


def ok_vqa(root: Path) -> None:
    """Write OK-VQA's files; answers carry their raw form."""
    for split in ("train", "val"):
        questions, annotations = vqa_rows(split, stemmed=True)
        write_json(root / f"OpenEnded_mscoco_{split}2014_questions.json", {"questions": questions})
        write_json(root / f"mscoco_{split}2014_annotations.json", {"annotations": annotations})
        _coco_pictures(root, split, [one["image_id"] for one in questions])


def karpathy_rows(*, coco: bool) -> list[dict[str, Any]]:
    """Make 18 images in Karpathy's format: 7 train, 11 others of which 3 are restval (COCO) and 5 val."""
    rows = []
    names = ["train"] * TRAIN + ["restval" if coco else "train"] * 3 + ["val"] * 5 + ["test"] * 3
    for number, split in enumerate(names):
        part = "train2014" if split == "train" else "val2014"
        sentences = [{"raw": f"Disc {number} seen {time} times.", "tokens": [], "sentid": time} for time in range(1, 6)]
        row: dict[str, Any] = {"split": split, "imgid": number, "sentences": sentences}
        row["filename"] = coco_name(part, 600 + number) if coco else f"{7000 + number}.jpg"
        rows.append({**row, "filepath": part, "cocoid": 600 + number} if coco else row)
    return rows


def coco_captions(root: Path) -> None:
    """Write Karpathy's file for COCO and its images."""
    rows = karpathy_rows(coco=True)
    write_json(root / "dataset_coco.json", {"images": rows, "dataset": "coco"})
    for number, row in enumerate(rows):
        write_picture(root / row["filepath"] / row["filename"], number)


def flickr30k(root: Path) -> None:
    """Write Karpathy's file for Flickr30k and its images."""
    rows = karpathy_rows(coco=False)
    write_json(root / "dataset_flickr30k.json", {"images": rows, "dataset": "flickr30k"})
    for number, row in enumerate(rows):
        write_picture(root / "flickr30k-images" / row["filename"], number)


def chair(root: Path) -> None:
    """Write the files of COCO captions and the instance annotations of their validation images."""
    coco_captions(root)
    categories = [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}, {"id": 53, "name": "hot dog"}]
    instances = [
        {"id": at, "image_id": 610 + at % 8, "category_id": (1, 18, 53)[at % 3], "bbox": [0, 0, 1.5, 2]}
        for at in range(13)
    ]
    write_json(
        root / "annotations" / "instances_val2014.json",
        {"info": {}, "images": [], "annotations": instances, "categories": categories},
    )


def ocr_books() -> dict[str, dict[str, Any]]:
    """Make 9 books with two or three questions each: 4 train, 3 val, 2 test."""
    return {
        f"00712{number:03d}": {
            "imageURL": f"http://example.org/cover{number}.jpg",
            "questions": [f"Who wrote book {number}?", "What is the title?", "Is this a cookbook?"][: 2 + number % 2],
            "answers": [f"Writer {number}", f"Title {number}", "No"][: 2 + number % 2],
            "title": f"Title {number}",
            "authorName": f"Writer {number}",
            "genre": "Travel" if number % 3 else "",
            "split": 1 if number < 4 else 2 if number < 7 else 3,
        }
        for number in range(9)
    }


def ocr_vqa(root: Path) -> None:
    """Write OCR-VQA's file and covers."""
    write_json(root / "dataset.json", ocr_books())
    for number, name in enumerate(ocr_books()):
        write_picture(root / "images" / f"{name}.jpg", number)


def seed_rows() -> list[dict[str, Any]]:
    """Make 13 questions, of which 2 are about videos."""
    return [
        {
            "question_id": str(101_000 + number),
            "question": f"How many discs are in picture {number}?",
            "answer": "ABCD"[number % 4],
            **{f"choice_{letter}": f"{at} discs" for at, letter in enumerate("abcd", start=number)},
            "data_id": f"14544_{number}",
            "data_type": "video" if number in (5, 12) else "image",
            "question_type_id": 1 + number % 9,
            "segment": None,
        }
        for number in range(13)
    ]


def seed_bench(root: Path) -> None:
    """Write SEED-Bench's file and its images, whose names have no suffix."""
    write_json(root / "SEED-Bench.json", {"question_type": {"Instance Counting": 5}, "questions": seed_rows()})
    for number, row in enumerate(seed_rows()):
        if row["data_type"] == "image":
            write_picture(root / "SEED-Bench-image" / row["data_id"], number)


def mme_rows() -> list[dict[str, Any]]:
    """Make 10 questions about 5 images in 3 subtasks."""
    return [
        {
            "question_id": f"{category}/{name}.jpg",
            "category": category,
            "question": f"Is there a {thing} in this image? Please answer yes or no.",
            "answer": answer,
        }
        for category, name in [
            ("artwork", "11"),
            ("artwork", "12"),
            ("count", "0001"),
            ("OCR", "0001"),
            ("OCR", "0002"),
        ]
        for thing, answer in (("disc", "Yes"), ("boat", "No"))
    ]


def mme(root: Path) -> None:
    """Write MME's folders: texts beside the images, or both in folders of their own (artwork)."""
    release = root / "MME_Benchmark_release_version"
    rows = mme_rows()
    for number, (yes, no) in enumerate(zip(rows[::2], rows[1::2], strict=True)):
        category, name = yes["question_id"].split("/")
        own = category == "artwork"
        text = release / category / ("questions_answers_YN" if own else "") / name.replace(".jpg", ".txt")
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text("".join(f"{one['question']}\t{one['answer']}\n" for one in (yes, no)), encoding="utf-8")
        write_picture(release / category / ("images" if own else "") / name, number)


def meme_rows() -> dict[str, list[dict[str, Any]]]:
    """Make the rows of five files; the two development files share one meme."""
    numbers = {
        "train": range(100, 107),
        "dev_seen": range(200, 203),
        "dev_unseen": range(202, 206),
        "test_seen": range(300, 302),
        "test_unseen": range(302, 305),
    }
    return {
        name: [{"id": at, "img": f"img/{at:05d}.png", "label": at % 2, "text": f"we are {at} discs"} for at in found]
        for name, found in numbers.items()
    }


def hateful_memes(root: Path) -> None:
    """Write the files of Hateful Memes and its images."""
    for name, rows in meme_rows().items():
        root.mkdir(parents=True, exist_ok=True)
        (root / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        for row in rows:
            write_picture(root / row["img"], row["id"])


LAYOUTS: dict[str, Callable[[Path], None]] = {
    "vqav2": vqav2,
    "ok_vqa": ok_vqa,
    "coco_captions": coco_captions,
    "flickr30k": flickr30k,
    "ocr_vqa": ocr_vqa,
    "seed_bench": seed_bench,
    "mme": mme,
    "hateful_memes": hateful_memes,
    "chair": chair,
}
"""Writes the official files of a benchmark into a folder."""


def _coco_pictures(root: Path, split: str, image_ids: Sequence[int]) -> None:
    for image_id in sorted(set(image_ids)):
        write_picture(root / f"{split}2014" / coco_name(f"{split}2014", image_id), image_id)
