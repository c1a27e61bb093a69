"""Scenes are seeded, and their labels say what is drawn."""

import numpy as np

from pretrain.data.pool import ImagePool
from pretrain.data.scenes import ANCHORS, COLORS, build_scenes, render_scene


def test_same_seed_same_scenes_other_seed_other_scenes(tmp_path):
    first, again, other = (build_scenes(tmp_path, 7, seed) for seed in (3, 3, 4))
    assert (first.images == again.images).all()
    assert (first.images != other.images).any()
    assert all((first.labels[name] == again.labels[name]).all() for name in first.labels)


def test_the_pixel_at_a_center_has_the_labelled_color(scenes):
    checked = 0
    for index in range(len(scenes)):
        for slot in range(4):
            shape = scenes.labels["shape"][index, slot]
            if shape in (0, 1):  # the centre of a ring, star or cross may be thin or empty
                column, row = scenes.labels["center"][index, slot]
                pixel = scenes.images[index, row, column].astype(int)
                anchors = np.array(ANCHORS[COLORS[scenes.labels["color"][index, slot]]])
                assert np.abs(anchors - pixel).max(1).min() <= 13
                checked += 1
    assert checked > 100


def test_patch_labels_name_only_shapes_of_the_scene():
    for seed in range(20):
        _, labels = render_scene(np.random.default_rng(seed))
        present = set(labels["shape"][labels["shape"] >= 0])
        assert set(labels["patch_shape"]) - {-1} <= present
        assert (labels["patch_shape"] >= 0).any()
        assert ((labels["patch_shape"] >= 0) == (labels["patch_color"] >= 0)).all()


def test_counts_run_from_one_to_four_and_single_scenes_are_most(scenes):
    counts = (scenes.labels["shape"] >= 0).sum(1)
    assert set(counts) == {1, 2, 3, 4}
    assert 0.6 < (counts == 1).mean() < 0.8


def test_pool_round_trip(tmp_path, scenes):
    scenes.save(tmp_path / "pool.npz")
    back = ImagePool.load(tmp_path / "pool.npz")
    assert (back.images == scenes.images).all()
    assert back.names == scenes.names
    assert all((back.labels[name] == scenes.labels[name]).all() for name in scenes.labels)
    assert [path.name for path in tmp_path.iterdir()] == ["pool.npz"]
