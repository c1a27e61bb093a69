"""Facts are rows of plain lower-case words; what is not plain or not unique is left out."""

from __future__ import annotations

from small_packages import SmallPackages

from pretrain.data.facts import LOCALES, Fact, country_rows, emoji_rows, plain_words, read_country_facts


def test_plain_words_take_the_first_plain_spelling() -> None:
    names = {
        "Porto-Novo": "porto novo",
        "São Tomé": "sao tome",
        "N'Djamena": "ndjamena",
        "Washington D.C.": "washington",
    }
    assert {name: plain_words(name) for name in names} == names
    assert plain_words("Austro-Bavarian German") == "german"
    assert plain_words("Area 51") is None
    assert plain_words("北京") is None


def test_countries_come_with_what_is_plain_and_unique(small: SmallPackages) -> None:
    facts = {country.name: country for country in read_country_facts(small.cache)}
    assert list(facts) == ["switzerland", "japan", "aland islands", "antigua and barbuda"]
    assert facts["switzerland"].language is None  # two languages
    assert facts["antigua and barbuda"].currency is None  # two currencies
    assert facts["antigua and barbuda"].capital == "saint johns"
    assert facts["japan"].code == "JP"


def test_rows_of_countries(small: SmallPackages) -> None:
    rows = country_rows(small.cache)
    assert [row for row in rows if row.subject == "japan"] == [
        Fact("capital", "japan", "tokyo"),
        Fact("continent", "japan", "asia"),
        Fact("language", "japan", "japanese"),
        Fact("currency", "japan", "japanese yen"),
    ]
    assert [row.relation for row in rows if row.subject == "switzerland"] == ["capital", "continent", "currency"]


def test_emoji_names_are_joined_by_code_without_the_variation_selector(small: SmallPackages) -> None:
    rows = emoji_rows(small.cache)
    german = {row.subject: row.object for row in rows if row.relation == "de"}
    assert german == {"red apple": "roter apfel", "heart": "herz"}
    assert {row.relation for row in rows} == set(LOCALES)
