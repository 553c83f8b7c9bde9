import json

import numpy as np
import pytest
from helpers.models.golden_weights import GOLDEN

from shards.format.recipe import DEFAULT, REFERENCE
from train.data.window import Window, window_frames

CASES = json.loads((GOLDEN / "frame_indices.json").read_text())
WINDOWS = [Window(length, stride) for length in (1, 4, 16) for stride in (1, 2, 3)]
FRAMES = [1, 2, 3, 5, 15, 16, 17, 30, 31, 32, 46, 47, 100]


def test_reference_windows_are_the_golden_ones():
    for case in CASES:
        window = Window(case["sequence_length"], case["temporal_stride"])
        for start in (None, 0.9):  # the reference trains with the same window
            found = window_frames(case["num_frames"], window, REFERENCE, start)
            assert found.tolist() == case["indices"], case


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("start", [None, 0.0, 0.5, 0.999])
def test_a_default_window_never_pads_while_frames_are_left(window, start):
    for frames in FRAMES:
        found = window_frames(frames, window, DEFAULT, start)
        assert found.shape == (window.length,)
        assert found.min() >= 0
        assert found.max() < frames
        assert (np.diff(found) >= 0).all()
        assert len(set(found.tolist())) == min(frames, window.length)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_a_default_window_keeps_its_stride_where_it_fits_and_is_centred(window):
    for frames in range(window.span, window.span + 9):
        found = window_frames(frames, window, DEFAULT)
        assert (np.diff(found) == window.stride).all()
        assert found[-1] - found[0] + 1 == window.span
        before, after = found[0], frames - 1 - found[-1]
        assert after - before in (0, 1)


def test_starts_from_0_to_1_reach_every_place_equally():
    window = Window(4, 3)
    firsts = [window_frames(14, window, DEFAULT, start)[0] for start in np.arange(500) / 500]
    assert np.bincount(firsts).tolist() == [100] * 5


def test_a_clip_too_short_for_the_stride_is_sampled_over_its_whole_length():
    assert window_frames(6, Window(4, 2), DEFAULT).tolist() == [0, 1, 3, 5]
    assert window_frames(3, Window(5, 2), DEFAULT).tolist() == [0, 1, 2, 2, 2]
