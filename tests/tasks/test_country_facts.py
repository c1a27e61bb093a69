"""The three text tasks: fixed splits by country, fair answers, clear refusals."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from hificl.data.packages import cache_folder
from hificl.errors import InputError
from hificl.metrics import METRICS
from hificl.tasks import TASKS, majority_answers
from hificl.tasks.countries import is_query_country

from .made_countries import made_world, put_world

NAMES = ("capitals", "currencies", "languages")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put_world(monkeypatch, tmp_path, made_world())


def answers(task: str, code: str) -> tuple[str, ...]:
    data = TASKS[task].load(support_size=90, query_size=120)
    rest = TASKS[task].load(support_size=90, query_size=120, seed=1)
    found = {example.id: example for part in (data, rest) for example in part.support + part.queries}
    return tuple(found[f"{task}/{code}"].answers)


@pytest.mark.parametrize("name", NAMES)
def test_the_entry_is_complete(name: str) -> None:
    task = TASKS[name]
    assert (task.origin, task.kind, task.metric) == ("fetch", "text", "exact_match")
    assert (task.support_size, task.query_size) == (100, 145)


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("name", NAMES)
def test_sets_are_split_by_country_and_carry_no_image(name: str) -> None:
    data = TASKS[name].load(support_size=90, query_size=120)
    assert (len(data.support), len(data.queries)) == (90, 120)
    assert all(is_query_country(example.meta["country"]) for example in data.queries)
    assert not any(is_query_country(example.meta["country"]) for example in data.support)
    assert len({example.id for example in data.support + data.queries}) == 210
    assert not any(example.images for example in data.support + data.queries)
    assert "Antarctica" not in " ".join(example.question for example in data.support + data.queries)


@pytest.mark.usefixtures("world")
def test_a_smaller_set_begins_a_larger_one_and_a_seed_changes_the_order() -> None:
    data = TASKS["capitals"].load(support_size=90, query_size=120)
    small = TASKS["capitals"].load(support_size=7, query_size=11)
    assert (small.support, small.queries) == (data.support[:7], data.queries[:11])
    assert TASKS["capitals"].load(support_size=7, query_size=11, seed=1).support != small.support


@pytest.mark.usefixtures("world")
def test_every_true_answer_is_accepted_and_the_first_is_taught() -> None:
    assert answers("capitals", "BR") == ("Brasília", "Brasilia")
    assert answers("capitals", "ZA")[:3] == ("Pretoria", "Bloemfontein", "Cape Town")
    assert answers("languages", "CH") == ("French", "Swiss German", "German")
    assert answers("currencies", "DE") == ("Euro", "EUR")


@pytest.mark.usefixtures("world")
def test_a_unit_alone_counts_where_it_names_one_currency() -> None:
    assert "rand" in answers("currencies", "ZA")
    assert "dollar" not in answers("currencies", "GD")
    assert "dollar" not in answers("currencies", "US")
    assert "US dollar" in answers("currencies", "US")


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("size", [0, -3, 2.5, True, "100", 1000])
def test_wrong_sizes(size: object) -> None:
    with pytest.raises(InputError, match=r"languages: query_size is .*; give an integer from 1 to \d+"):
        TASKS["languages"].load(support_size=3, query_size=size)


def test_what_is_not_fetched_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HIFICL_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"^currencies: .* Run: hificl data fetch currencies$"):
        TASKS["currencies"].load()


def test_no_torch_is_imported() -> None:
    program = (
        "import sys; import hificl.tasks.country_facts; print({'torch', 'numpy', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "torch" not in done.stdout
    assert "transformers" not in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, floor, split",
    [
        ("capitals", 0.0, "defbb55451b4ce3a"),
        ("currencies", 17.9, "c454acd322410dcd"),
        ("languages", 32.4, "7906c6245e2e6b3f"),
    ],
)
def test_the_split_and_floor_of_the_package_itself(name: str, floor: float, split: str) -> None:
    if not (cache_folder() / "world-countries-5.1.0.tgz").is_file():
        pytest.fail("needs the package: hificl data fetch capitals")
    data = TASKS[name].load()
    ids = "\n".join(example.id for example in data.support + data.queries)
    assert hashlib.sha256(ids.encode()).hexdigest()[:16] == split
    guesses = majority_answers(data.support, data.queries)
    score = METRICS["exact_match"](guesses, [list(example.answers) for example in data.queries]).score
    assert score == pytest.approx(floor, abs=0.05)
