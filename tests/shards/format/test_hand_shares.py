"""Shares of hands, in words."""

import numpy as np

from shards.format.hand_shares import HandShares, share_lines


def shares(**clips: tuple[int, tuple[int, int], tuple[int, int]]) -> HandShares:
    """Of clips, each with T and of both hands the numbers of frames in which it is guessed and missing."""
    frames, counts = ([one[0] for one in clips.values()], [one[1:] for one in clips.values()])
    return HandShares([*clips], np.array(frames), np.array(counts))


MANY = shares(
    good=(10, (0, 0), (1, 0)),
    one_handed=(20, (10, 10), (0, 2)),
    dark=(30, (25, 0), (10, 10)),
    blind=(40, (0, 40), (40, 0)),
    dim=(10, (8, 0), (2, 4)),
)


def test_totals_are_frames() -> None:
    assert MANY.totals() == {
        "left": {"found": 10 + 0 + 5 + 0 + 2, "guessed": 43, "missing": 50},
        "right": {"found": 9 + 18 + 10 + 0 + 4, "guessed": 53, "missing": 16},
    }


def test_the_better_hand_counts_first() -> None:
    assert [MANY.ids[place] for place in MANY.worst_first()] == ["blind", "dark", "dim", "one_handed", "good"]


def test_lines() -> None:
    header, row, worst = share_lines({"train": MANY, "val": shares(few=(1, (0, 0), (0, 0)))})[:3]
    assert header.split() == ["hands", "left:", "found", "guessed", "missing", "right:", "found", "guessed", "missing"]
    assert row.replace(" %", "").split() == ["train", "15", "39", "45", "37", "48", "15"]
    assert worst.split()[0] == "val"
    [named] = share_lines({"train": MANY, "val": shares(few=(1, (0, 0), (0, 0)))})[3:]
    assert named == (
        "in 3 of 5 clips neither hand is found in half of the frames: blind (found: left 0 %, right 0 %), "
        "dark (found: left 17 %, right 33 %), dim (found: left 20 %, right 40 %)"
    )


def test_what_nobody_says_is_not_shown() -> None:
    nothing = HandShares([], np.zeros(0, int), np.zeros((0, 2, 2), int))
    assert share_lines({"train": nothing}) == []
    assert share_lines({"train": nothing, "val": shares(few=(1, (0, 0), (0, 0)))})[1].startswith("val ")
