"""Document frequencies: counted by hand, written and read back, and files that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from hificl.errors import InputError
from hificl.metrics import DocumentFrequencies, ngrams
from hificl.metrics.ngrams import ngrams as ngrams_of


def test_ngrams_of_a_text() -> None:
    assert list(ngrams_of(["a", "b", "a"])) == [("a",), ("b",), ("a",), ("a", "b"), ("b", "a"), ("a", "b", "a")]
    assert len(list(ngrams_of(list("abcdefg")))) == 7 + 6 + 5 + 4
    assert list(ngrams_of([])) == []


def test_an_ngram_counts_once_per_image() -> None:
    frequencies = DocumentFrequencies.from_references([["A bus.", "a bus bus"], ["a dog"]])
    assert frequencies.images == 2
    once = {"bus", "dog", "a bus", "bus bus", "a dog", "a bus bus"}
    assert frequencies.counts == {("a",): 2} | {tuple(text.split()): 1 for text in once}


def test_round_trip(tmp_path: Path) -> None:
    frequencies = DocumentFrequencies.from_references([["a b c d e", "caf\u00e9 \U0001f600"], ["a"]], tokenized=True)
    frequencies.write(tmp_path / "df.json")
    assert DocumentFrequencies.read(tmp_path / "df.json") == frequencies


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("{", "invalid JSON"),
        ("\ufeff[]", "no document frequencies"),
        ('{"images": 2}', "no document frequencies"),
        ('{"images": 2, "counts": ["a"]}', "no document frequencies"),
        ('{"images": 0, "counts": {}}', "images must be an integer of at least 1, got 0"),
        ('{"images": true, "counts": {}}', "images must be an integer of at least 1, got True"),
        ('{"images": 2.0, "counts": {}}', "images must be an integer of at least 1, got 2.0"),
        ('{"images": 2, "counts": {"a": 3}}', "counts: 'a' must have 1 to 2 images, got 3"),
        ('{"images": 2, "counts": {"a": 0}}', "counts: 'a' must have 1 to 2 images, got 0"),
        ('{"images": 2, "counts": {"a": "1"}}', "counts: 'a' must have 1 to 2 images, got '1'"),
        ('{"images": 2, "counts": {"": 1}}', "counts: '' is not 1 to 4 tokens"),
        ('{"images": 2, "counts": {"a  b": 1}}', "counts: 'a  b' is not 1 to 4 tokens"),
        ('{"images": 2, "counts": {"a b c d e": 1}}', "is not 1 to 4 tokens"),
        ("[" * 100_000, "invalid JSON"),
    ],
)
def test_unusable_files(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "df.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message) as error:
        DocumentFrequencies.read(path)
    assert str(path) in str(error.value)


def test_huge_files_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "df.json"
    path.write_text('{"images": 1, "counts": {}}')
    monkeypatch.setattr(ngrams, "_MOST_BYTES", 20)
    with pytest.raises(InputError, match="27 bytes; at most 20 are read"):
        DocumentFrequencies.read(path)
