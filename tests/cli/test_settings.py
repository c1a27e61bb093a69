"""Recipe file, options and KEY=VALUE words become the settings of a command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from hificl.cli.settings import column_names, read_settings
from hificl.errors import InputError


@dataclass(frozen=True)
class Options:
    data: str | None = None
    seed: int = 0
    resume: bool = True
    output: str = "runs/here"


def test_later_ones_win(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("data: file.jsonl\nseed: 3\noutput: from/file\n")
    chosen, others = read_settings(Options, [str(file), "seed=7"], {"data": None, "seed": 5, "output": "from/option"})
    assert chosen == Options(data="file.jsonl", seed=7, output="from/option")
    assert others == {}


@pytest.mark.parametrize(
    "word, name, value",
    [
        ("lr=5e-3", "learning_rate", 0.005),
        ("n=16", "num_virtual_tokens", 16),
        ("learn-score-offset=true", "learn_score_offset", True),
        ("epochs=1.5", "epochs", 1.5),
        ("layers_to_transform=[1, 3]", "layers_to_transform", [1, 3]),
        ("share=kv", "share", "kv"),
        ("order_seed=", "order_seed", None),
    ],
)
def test_words_are_yaml_and_short_names_stand_for_long_ones(word: str, name: str, value: object) -> None:
    _, others = read_settings(Options, [word], {}, takes_overrides=True)
    assert others == {name: value}
    assert type(others[name]) is type(value)


def test_a_text_option_takes_its_word_as_it_is() -> None:
    assert read_settings(Options, ["output=1e3"], {})[0].output == "1e3"


@pytest.mark.parametrize(
    "words, said",
    [
        (["sed=3"], "unknown key 'sed'; did you mean 'seed'?"),
        (["zzz=3"], "unknown key 'zzz'; known are data, output, resume, seed."),
        (["seed=x"], "seed is 'x' (str); it must be int."),
        (["seed=true"], "seed is True (bool); it must be int."),
        (["seed=1", "loose"], "'loose': expected KEY=VALUE"),
        (["rows.jsonl"], "'rows.jsonl': expected KEY=VALUE, such as seed=1, or a recipe file (.yaml or .yml)."),
        (["none.yaml"], "none.yaml: no recipe file can be read here (No such file or directory)"),
        (["seed=[1"], "'seed=[1': '[1' is not a YAML value"),
    ],
)
def test_what_is_refused(words: list[str], said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_settings(Options, words, {})
    assert said in str(caught.value)


def test_a_slip_of_an_own_option_is_caught_where_other_keys_are_allowed() -> None:
    with pytest.raises(InputError, match="unknown key 'outptu'; did you mean 'output'"):
        read_settings(Options, ["outptu=3"], {}, takes_overrides=True)


@pytest.mark.parametrize(
    "text, said", [("data: [1\nseed: 2\n", "recipe.yaml:2: invalid YAML"), ("- 3\n- 5\n", "a recipe is a list of")]
)
def test_a_broken_recipe_file_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        read_settings(Options, [str(file)], {})
    assert said in str(caught.value)


def test_column_names() -> None:
    assert column_names(["question=q", "answers=gt"]) == {"question": "q", "answers": "gt"}
    assert column_names(None) is None
    with pytest.raises(InputError, match="--columns q: write FIELD=NAME"):
        column_names(["q"])
