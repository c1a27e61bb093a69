"""The manifest is checked to the byte; what is missing or different is a clear error."""

import dataclasses
import hashlib
import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from pretrain.data.emoji import build_emoji, is_held_out
from pretrain.data.packages import DataError, check_package, fetch_package, read_manifest


def write_package(folder, package):
    """Write a small emoji package and return its row of the manifest."""
    entries = [
        {"short_name": name, "image": f"{name}.png", "category": category, "subcategory": "sub"}
        for name, category in (("red_apple", "Food & Drink"), ("flag-ab", "Flags"), ("owl", "Animals & Nature"))
    ]
    files = {"package/emoji.json": json.dumps(entries).encode()}
    for number, entry in enumerate(entries):
        picture = io.BytesIO()
        Image.new("RGBA", (64, 64), (40 * number, 90, 200, 255)).save(picture, "PNG")
        files[f"package/img/{package.style}/64/{entry['image']}"] = picture.getvalue()
    tarball = folder / package.file
    with tarfile.open(tarball, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
    size = tarball.stat().st_size
    return dataclasses.replace(package, sha256=digest, bytes=size, entries=3, images=3)


@pytest.fixture
def packages(tmp_path, monkeypatch):
    rows = [write_package(tmp_path, package) for package in read_manifest()]
    monkeypatch.setattr("pretrain.data.emoji.read_manifest", lambda: rows)
    return rows


def test_manifest_names_licence_hash_and_counts():
    rows = read_manifest()
    assert [row.package for row in rows] == ["emoji-datasource-twitter", "emoji-datasource-google"]
    assert all(len(row.sha256) == 64 and row.licence and row.entries > 0 and row.images > 0 for row in rows)


def test_missing_package_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    package = read_manifest()[0]
    with pytest.raises(DataError, match=r"emoji-datasource-twitter 16\.0\.0.*install npm"):
        fetch_package(package, tmp_path)
    with pytest.raises(DataError, match="npm pack emoji-datasource-twitter@16.0.0"):
        check_package(package, tmp_path / package.file)


def test_different_package_shows_both_hashes(tmp_path):
    package = read_manifest()[1]
    (tmp_path / package.file).write_bytes(b"something else")
    with pytest.raises(DataError, match=f"14 bytes.*{package.sha256}"):
        fetch_package(package, tmp_path)


def test_flags_and_components_are_left_out_and_variants_differ(tmp_path, packages):
    pool = build_emoji(tmp_path, 12, 0)
    assert pool.names["concept"] == ["owl", "red apple"]
    assert len(pool) == 12
    assert sorted(set(zip(pool.labels["concept"], pool.labels["style"], strict=True))) == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
    ]
    assert (pool.images[0] != pool.images[1]).any()
    assert (pool.images == build_emoji(tmp_path, 12, 0).images).all()


def test_unexpected_counts_are_refused(tmp_path, packages):
    packages[1] = dataclasses.replace(packages[1], images=4)
    with pytest.raises(DataError, match=r"emoji-datasource-google: \(3, 3\).*\(3, 4\)"):
        build_emoji(tmp_path, 12, 0)


def test_one_concept_in_ten_is_held_out():
    names = [f"name {number}" for number in range(1000)]
    assert 0.07 < np.mean([is_held_out(name) for name in names]) < 0.13
