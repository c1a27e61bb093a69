"""How records of experiments lie on disk: questions, answers and ids once per data set, beside the cells.

No torch is imported here, so that reports read what was written anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hificl import records
from hificl.errors import InputError

DATA = "data"
"""Folder of the data sets, beside ``cells``."""


def list_name(task: str, ids: Sequence[str]) -> str:
    """Return the path of a list of examples below the folder of the experiments: its task, and a hash of its ids."""
    return f"{DATA}/{task}-{records.content_hash(list(ids))[:12]}.json"


def fold(record: Mapping[str, Any], lists: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return a record of a cell that names lists of ids in place of holding them.

    Args:
        record: As ``run_cell`` leaves it.
        lists: Ids by the path of their list; the first that holds all ids of a part, in its order, is named.
    """
    named = {part: _named(ids, lists) for part, ids in record["sample_ids"].items()}
    results = dict(record["results"])
    if "predictions" in results:
        kept = ("prediction", "score")
        results["predictions"] = {name: [one[name] for one in results["predictions"]] for name in kept}
    return {**record, "sample_ids": named, "results": results}


def read_record(path: str | Path, root: str | Path) -> dict[str, Any]:
    """Read the record of a cell with its lists in place.

    Args:
        path: The record, relative to ``root`` or not.
        root: Folder of the experiments.

    Returns:
        The record as ``run_cell`` made it: ``sample_ids`` as lists, ``results.predictions`` as one mapping per query
        with ``id``, ``prediction``, ``answers`` and ``score``, and ``question`` beside them.

    Raises:
        InputError: The record or a list that it names is missing or damaged.
    """
    root = Path(root)
    record = dict(records.read_json(root / path))
    if record.get("kind") == "error" or "sample_ids" not in record:
        return record
    lists = {
        named["list"]: read_list(root / named["list"])
        for named in record["sample_ids"].values()
        if isinstance(named, Mapping)
    }
    return unfold(record, lists)


def unfold(record: Mapping[str, Any], lists: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a folded record as it was, and with the questions; ``lists`` holds the contents of the lists by path."""
    ids = {part: _ids(named, lists) for part, named in record["sample_ids"].items()}
    results = dict(record["results"])
    told, queries = results.get("predictions"), record["sample_ids"].get("queries")
    if isinstance(told, Mapping) and isinstance(queries, Mapping):
        asked = lists[queries["list"]]
        places = queries["positions"] if queries["positions"] is not None else range(len(asked["ids"]))
        results["predictions"] = [
            {
                "id": asked["ids"][place],
                "question": asked["questions"][place],
                "prediction": told["prediction"][number],
                "answers": asked["answers"][place],
                "score": told["score"][number],
            }
            for number, place in enumerate(places)
        ]
    return {**record, "sample_ids": ids, "results": results}


def read_list(path: Path) -> dict[str, Any]:
    """Read a list of examples.

    Raises:
        InputError: It is missing or damaged, or its ids are not those of its name.
    """
    content = records.read_json(path)
    if not isinstance(content, Mapping) or records.content_hash(content.get("ids")) != content.get("hash"):
        raise InputError(f"{path}: its ids are not those of its hash; it is damaged, restore it or run the grid again.")
    return dict(content)


def _named(ids: Any, lists: Mapping[str, Sequence[str]]) -> Any:
    """The list that holds the ids, with their positions in it where it holds more; the ids where none does."""
    if not isinstance(ids, list) or not ids:
        return ids
    for path, known in lists.items():
        places = {name: place for place, name in enumerate(known)}
        if all(one in places for one in ids):
            return {"list": path, "positions": None if ids == list(known) else [places[one] for one in ids]}
    return ids


def _ids(named: Any, lists: Mapping[str, Mapping[str, Any]]) -> Any:
    if not isinstance(named, Mapping) or "list" not in named:
        return named
    known = lists[named["list"]]["ids"]
    return list(known) if named["positions"] is None else [known[place] for place in named["positions"]]
