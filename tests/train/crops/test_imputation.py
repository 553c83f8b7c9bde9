from dataclasses import replace

import numpy as np
import pytest

from shards.format.recipe import DEFAULT, REFERENCE
from train.crops.imputation import COLOR, COLOR_AS_GRAY, DEPTH, HandFlags, choose_crops, late_source, nearest_found

FRAMES = np.array([10, 12, 14, 16, 18])
NEVER = HandFlags([0] * 30, None)


def flags(*frames: int) -> list[int]:
    return [int(number in frames) for number in range(30)]


def lost_at(*frames: int) -> HandFlags:
    return HandFlags(flags(*frames), None)


@pytest.mark.parametrize(
    ("missing", "source"),
    [
        ("00000", [0, 1, 2, 3, 4]),
        ("00100", [0, 1, 2, 2, 4]),  # the whole frame stays at 2, and gets copied to 3
        ("01100", [0, 1, 1, 4, 4]),
        ("01010", [0, 1, 1, 3, 3]),  # 2 lies between 1 and 3: the earlier
        ("00001", [0, 1, 2, 3, 4]),  # a record of L is never reached
        ("11111", [0, 0, 0, 0, 0]),
        ("10000", [0, 0, 2, 3, 4]),
    ],
)
def test_late_imputation(missing, source):
    assert late_source(np.array([c == "1" for c in missing])).tolist() == source


def test_the_nearest_kept_position_by_search():
    random = np.random.default_rng(0)
    for _ in range(200):
        missing = random.random(9) < 0.5
        recorded = {i + 1 for i in np.flatnonzero(missing)}
        kept = [i for i in range(9) if i not in recorded]
        expected = [min(kept, key=lambda k, i=i: (abs(k - i), k)) if i in recorded else i for i in range(9)]
        assert late_source(missing).tolist() == expected


def test_by_default_every_place_has_its_own_frame():
    color, depth = choose_crops(FRAMES, {"left": lost_at(12), "right": lost_at(14)}, DEFAULT, with_depth=True)
    for choice, kind in ((color, COLOR), (depth, DEPTH)):
        assert (choice.frame == FRAMES[:, None]).all()
        assert (choice.kind == kind).all()


def test_reference_without_depth_moves_crops_within_a_hand():
    color, depth = choose_crops(FRAMES, {"left": lost_at(12), "right": lost_at(16)}, REFERENCE, with_depth=False)
    assert depth is None
    assert color.frame[:, 0].tolist() == [10, 12, 12, 16, 18]
    assert color.frame[:, 1].tolist() == [10, 12, 14, 16, 16]
    assert (color.kind == COLOR).all()


def test_reference_with_depth_swaps_for_a_lost_right_hand():
    color, depth = choose_crops(FRAMES, {"left": NEVER, "right": lost_at(14)}, REFERENCE, with_depth=True)
    # The swapped pair of position 2 is then copied to position 3, each within its clip.
    assert color.frame[:, 1].tolist() == depth.frame[:, 1].tolist() == [10, 12, 14, 14, 18]
    assert color.kind[:, 1].tolist() == [COLOR, COLOR, DEPTH, DEPTH, COLOR]
    assert depth.kind[:, 1].tolist() == [DEPTH, DEPTH, COLOR_AS_GRAY, COLOR_AS_GRAY, DEPTH]
    assert (color.kind[:, 0] == COLOR).all()
    assert (depth.kind[:, 0] == DEPTH).all()


def test_reference_with_depth_copies_color_for_a_lost_left_hand():
    color, depth = choose_crops(FRAMES, {"left": lost_at(12), "right": NEVER}, REFERENCE, with_depth=True)
    assert color.frame[:, 0].tolist() == depth.frame[:, 0].tolist() == [10, 12, 12, 16, 18]
    assert (color.kind == COLOR).all()
    # Copied as it is; the other depth crops were made gray when they were cut.
    assert depth.kind[:, 0].tolist() == [DEPTH, DEPTH, COLOR, DEPTH, DEPTH]
    assert (depth.kind[:, 1] == DEPTH).all()


def test_late_imputation_alone_never_mixes():
    recipe = replace(REFERENCE, mixed_depth=False)
    color, depth = choose_crops(FRAMES, {"left": lost_at(12), "right": lost_at(14)}, recipe, with_depth=True)
    assert (color.kind == COLOR).all()
    assert (depth.kind == DEPTH).all()
    assert (color.frame == depth.frame).all()


def test_a_guessed_hand_gives_way_to_the_nearest_found_one_of_the_clip():
    """Outside the window, too; missing hands as well, since a guess may stand in for them in the table."""
    seen = {*range(5), 11, 17, 25}
    guessed = HandFlags(flags(12), flags(*set(range(30)) - seen - {12}))
    hands = {"left": guessed, "right": lost_at(14)}
    color, depth = choose_crops(FRAMES, hands, DEFAULT, with_depth=True)
    assert color.frame[:, 0].tolist() == [11, 11, 11, 17, 17]  # of 14, 11 and 17 are equally near
    assert color.frame[:, 1].tolist() == FRAMES.tolist()
    assert (depth.frame == color.frame).all()
    assert (depth.kind == DEPTH).all()


def test_the_nearest_found_frame_by_search():
    random = np.random.default_rng(1)
    for _ in range(200):
        kinds = random.integers(0, 3, 12)  # found, guessed, missing
        frames = np.sort(random.integers(0, 12, 5))
        hand = HandFlags((kinds == 2).astype(int).tolist(), (kinds == 1).astype(int).tolist())
        found = [number for number in range(12) if kinds[number] == 0]
        expected = [min(found, key=lambda one, frame=frame: (abs(one - frame), one), default=frame) for frame in frames]
        assert nearest_found(frames, hand).tolist() == (expected if (kinds == 1).any() else frames.tolist())


@pytest.mark.parametrize(
    ("hand", "recipe"),
    [
        (HandFlags(flags(3), flags(*range(4, 30))), replace(DEFAULT, guessed_hands_shown=True)),
        (HandFlags([0] * 30, [1] * 30), DEFAULT),  # no frame shows it: better the guess than nothing
        (HandFlags(flags(*range(10)), flags(*range(10, 30))), DEFAULT),
        (HandFlags(flags(12), None), DEFAULT),  # shards of an earlier version do not say it
    ],
)
def test_a_guess_that_stays(hand, recipe):
    color, _ = choose_crops(FRAMES, {"left": hand, "right": hand}, recipe, with_depth=False)
    assert (color.frame == FRAMES[:, None]).all()


def test_the_reference_sees_guesses_as_ever():
    known = {"left": HandFlags(flags(12), flags(10, 14)), "right": HandFlags(flags(16), flags(18))}
    before = {hand: one._replace(guessed=None) for hand, one in known.items()}
    for one, other in zip(
        choose_crops(FRAMES, known, REFERENCE, True), choose_crops(FRAMES, before, REFERENCE, True), strict=True
    ):
        assert (one.frame == other.frame).all()
        assert (one.kind == other.kind).all()
