import json
from collections import Counter

import numpy as np
import pytest
from helpers.models.golden_weights import GOLDEN

from shards.format.recipe import DEFAULT, REFERENCE
from train.crops.crop_views import (
    PLACES,
    SCALE_PAIRS,
    draw_view,
    multiscale_boxes,
    resized_sizes,
    seen_boxes,
)
from train.data.views import EVALUATION, View

SIZES = np.random.default_rng(0).integers(1, 257, (300, 2))


def test_reference_multiscale_windows_are_the_golden_ones():
    cases = json.loads((GOLDEN / "multiscale_crop.json").read_text())["cases"]
    assert len(cases) > 100
    for case in cases:
        size = np.array([[case["image_wh"]]])
        assert (resized_sizes(size) == size).all()
        view = View(scale_pair=case["scale_index"], place=case["offset_index"])
        assert multiscale_boxes(size, [view], REFERENCE)[0, 0].tolist() == case["box_xyxy"], case
        # In an image that has the size already, nothing else happens to the box.
        assert seen_boxes(size, [view], REFERENCE)[0, 0].tolist() == case["box_xyxy"]


def test_depth_windows_keep_their_size_over_the_edge():
    size, view = np.array([[[256, 256]]]), View(scale_pair=0, place=3)
    assert multiscale_boxes(size, [view], REFERENCE)[0, 0].tolist() == [32, 32, 256, 256]
    assert multiscale_boxes(size, [view], REFERENCE, padded=True)[0, 0].tolist() == [32, 32, 288, 288]


@pytest.mark.parametrize("pair", range(len(SCALE_PAIRS)))
def test_default_windows_lie_inside(pair):
    for place in range(len(PLACES)):
        boxes = seen_boxes(SIZES[None], [View(scale_pair=pair, place=place)], DEFAULT)[0]
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2:] <= SIZES + 1e-3).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_evaluation_sees_the_centre():
    boxes = seen_boxes(SIZES[None], [EVALUATION], DEFAULT)[0]
    sides = boxes[:, 2:] - boxes[:, :2]
    # 224 of 256 on the short side, and as much of the other.
    np.testing.assert_allclose(sides.min(axis=1), SIZES.min(axis=1) * 224 / 256, rtol=1e-2)
    # Off the centre by half a pixel of the resized image at most.
    off = np.abs((boxes[:, :2] + boxes[:, 2:]) / 2 - SIZES / 2) * resized_sizes(SIZES) / SIZES
    assert off.max() <= 0.5 + 1e-3


@pytest.mark.parametrize("recipe", [DEFAULT, REFERENCE], ids=lambda recipe: recipe.name)
def test_every_sample_of_a_batch_is_seen_under_its_own_view(recipe):
    views = [EVALUATION, View(scale_pair=3, place=7), View(scale_pair=1, place=0), EVALUATION, View(scale_pair=2)]
    sizes = SIZES.reshape(len(views), -1, 2)
    boxes = seen_boxes(sizes, views, recipe)
    for view, size, box in zip(views, sizes, boxes, strict=True):
        np.testing.assert_array_equal(seen_boxes(size[None], [view], recipe)[0], box)


def test_the_long_side_is_rounded_down():
    assert resized_sizes(np.array([[100, 133], [133, 100], [3, 200]])).tolist() == [
        [256, 340],
        [340, 256],
        [256, 17066],
    ]


def test_a_view_depends_on_seed_epoch_and_id_only():
    first = draw_view(1, 2, "signer0_sample1", DEFAULT)
    assert draw_view(1, 2, "signer0_sample1", DEFAULT) == first
    others = [draw_view(*key, DEFAULT) for key in ((0, 2, "signer0_sample1"), (1, 3, "signer0_sample1"), (1, 2, "b"))]
    assert len({first, *others}) == 4


@pytest.mark.parametrize(("recipe", "pairs"), [(DEFAULT, 10), (REFERENCE, 4)], ids=["default", "reference"])
def test_draws_cover_everything_evenly(recipe, pairs):
    views = [draw_view(7, epoch, f"sample{number}", recipe) for epoch in range(20) for number in range(200)]
    for values, count in (
        ([view.scale_pair for view in views], pairs),
        ([view.place for view in views], 13),
        ([view.mirrored for view in views], 2),
    ):
        found = Counter(values)
        assert len(found) == count
        assert min(found.values()) > 0.7 * 4000 / count
        assert max(found.values()) < 1.3 * 4000 / count
    for name in ("brightness", "contrast", "saturation"):
        factors = np.array([getattr(view, name) for view in views])
        assert factors.min() >= 0.5
        assert factors.max() <= 1.5
        assert np.histogram(factors, 4, (0.5, 1.5))[0].min() > 800
    assert {view.start is None for view in views} == {recipe.fixed_training_window}


def test_scale_pairs_are_at_most_one_step_apart():
    assert len(set(SCALE_PAIRS)) == len(SCALE_PAIRS) == 10
    assert all(abs(height - width) <= 1 for height, width in SCALE_PAIRS)
