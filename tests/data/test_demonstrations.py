"""choose_demonstrations: seeded per query, never the query, without replacement."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from hificl.data import EPISODE, Example, choose_demonstrations, demonstration_pool
from hificl.errors import InputError


def item(
    name: str, question: str = "what?", image: str | Path | bytes = "", answers: tuple[str, ...] = ("red",)
) -> Example:
    return Example(name, [image or f"{name}.png"], question, answers)


SUPPORT = [item(f"s{number}") for number in range(23)]


def ids(*arguments: object) -> list[str]:
    return [example.id for example in choose_demonstrations(*arguments)]  # type: ignore[arg-type]


def test_the_choice_depends_on_seed_and_query_alone() -> None:
    queries = [item(f"q{number}") for number in range(7)]
    forward = {query.id: ids(SUPPORT, query, 5, 3) for query in queries}
    backward = {query.id: ids(SUPPORT, query, 5, 3) for query in reversed(queries)}
    assert forward == backward
    assert len({tuple(chosen) for chosen in forward.values()}) == 7
    assert ids(SUPPORT, queries[0], 5, 4) != forward["q0"]
    assert ids(SUPPORT, queries[0], 3, 3) == forward["q0"][:3]


def test_the_choice_is_the_same_in_another_process() -> None:
    program = (
        "from hificl.data import Example, choose_demonstrations as choose\n"
        "support = [Example(f's{n}', [f's{n}.png'], 'what?', ['red']) for n in range(23)]\n"
        "print(*(e.id for e in choose(support, Example('q', ['q.png'], 'what?', []), 5, 3)))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ids(SUPPORT, item("q"), 5, 3) == ["s21", "s7", "s6", "s3", "s9"]


def test_no_replacement_and_all_of_the_set_when_asked() -> None:
    assert sorted(ids(SUPPORT, item("q"), 23, 0)) == sorted(example.id for example in SUPPORT)
    assert ids(SUPPORT, item("q"), 0, 0) == []


def test_every_item_is_drawn_about_equally_often() -> None:
    counts = Counter(name for number in range(2300) for name in ids(SUPPORT, item(f"q{number}"), 4, 1))
    assert len(counts) == 23
    assert all(310 < count < 490 for count in counts.values())  # expected 400, standard deviation 18


def test_the_query_is_never_chosen() -> None:
    query = SUPPORT[4]
    assert sorted(ids(SUPPORT, query, 22, 0)) == sorted(e.id for e in SUPPORT if e is not query)
    renamed = item("s4", "another question?", "other.png")
    assert sorted(ids(SUPPORT, renamed, 22, 0)) == sorted(e.id for e in SUPPORT if e.id != "s4")
    twins = [
        item("t1", image="a.png"),
        item("t2", image=Path("a.png")),
        item("t3", "why?", "a.png"),
        item("t4", image=b"x"),
    ]
    assert sorted(ids(twins, item("q", image="a.png"), 2, 0)) == ["t3", "t4"]
    assert sorted(ids(twins, item("q", image=b"x"), 3, 0)) == ["t1", "t2", "t3"]


def test_too_few_examples() -> None:
    with pytest.raises(
        InputError, match=r"query 's4': 23 demonstrations wanted, .* has 22 usable examples \(23 in all"
    ):
        choose_demonstrations(SUPPORT, SUPPORT[4], 23, 0)
    with pytest.raises(InputError, match="has 0 usable examples"):
        choose_demonstrations([], item("q"), 1, 0)


@pytest.mark.parametrize("shots", [-1, 2.0, True, "4", None])
def test_wrong_number_of_shots(shots: object) -> None:
    with pytest.raises(InputError, match="shots must be an integer of at least 0"):
        choose_demonstrations(SUPPORT, item("q"), shots, 0)  # type: ignore[arg-type]


def test_a_demonstration_needs_an_answer() -> None:
    with pytest.raises(InputError, match="demonstration 'd' has no answer"):
        choose_demonstrations([item("d", answers=())], item("q"), 1, 0)


def in_episode(name: str, answer: str, episode: object) -> Example:
    return Example(name, [f"{name}.png"], "?", (answer,), {EPISODE: episode})


EPISODES = [
    in_episode(f"{episode}{answer}{number}", answer, episode)
    for number in range(3)
    for episode in ("x", "y")
    for answer in ("bof", "dut", "kez")
]


def test_an_episode_is_shown_its_own_examples_alone() -> None:
    support = [*EPISODES, *SUPPORT]
    query = in_episode("q", "dut", "y")
    assert sorted(ids(support, query, 9, 0)) == sorted(one.id for one in EPISODES if one.meta[EPISODE] == "y")
    assert len(demonstration_pool(support, query)) == 9
    assert demonstration_pool(support, item("q")) is support
    with pytest.raises(InputError, match=r"10 demonstrations wanted, but its episode in the support set has 9 usable"):
        choose_demonstrations(support, query, 10, 0)
    with pytest.raises(InputError, match=r"its episode in the support set has 0 usable examples \(0 in all"):
        choose_demonstrations(SUPPORT, query, 1, 0)


def test_an_episode_spreads_its_demonstrations_evenly_over_the_answers() -> None:
    """Every block of three holds each answer once, its order differs, and fewer shots are a prefix."""
    orders = set()
    for number in range(40):
        chosen = choose_demonstrations(EPISODES, in_episode(f"q{number}", "bof", "x"), 9, 5)
        answers = [one.answers[0] for one in chosen]
        assert [sorted(answers[start : start + 3]) for start in (0, 3, 6)] == [["bof", "dut", "kez"]] * 3
        assert choose_demonstrations(EPISODES, in_episode(f"q{number}", "bof", "x"), 4, 5) == chosen[:4]
        orders.add(tuple(answers[:3]))
    assert len(orders) == 6


def test_the_query_of_an_episode_is_never_its_own_demonstration() -> None:
    assert sorted(ids(EPISODES, EPISODES[4], 8, 0)) == sorted(
        one.id for one in EPISODES if one.meta[EPISODE] == "y" and one is not EPISODES[4]
    )
