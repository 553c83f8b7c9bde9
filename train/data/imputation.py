"""Which crop stands at each place of the model's input."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from shards.body135 import HANDS
from shards.format.recipe import Recipe

COLOR, DEPTH, COLOR_AS_GREY = 0, 1, 2


class Pick(NamedTuple):
    """For every window position and hand, (L, 2): the frame whose crop is taken, and which of its pictures."""

    frame: np.ndarray  # int
    kind: np.ndarray  # COLOR, DEPTH or COLOR_AS_GREY


def pick_crops(
    frames: np.ndarray, missing: Mapping[str, Sequence[int]], recipe: Recipe, with_depth: bool
) -> tuple[Pick, Pick | None]:
    """What goes into the colour clip and, `with_depth`, into the depth clip.

    Args:
        frames: int (L,), the sampled frames.
        missing: per hand whether it was not found, in each of T frames.
        recipe: `late_hand_imputation` and `mixed_depth`.
        with_depth: for a model that sees depth.
    """
    frame = frames[:, None].repeat(2, axis=1)
    color = Pick(frame, np.full_like(frame, COLOR))
    depth = Pick(frame, np.full_like(frame, DEPTH)) if with_depth else None
    if recipe.late_hand_imputation:
        for hand, name in enumerate(HANDS):
            lost = np.array(missing[name], bool)[frames]
            if recipe.mixed_depth and with_depth and name == "right":
                color, depth = _swapped(color, depth, lost, hand)
            source = late_source(lost)
            color = _moved(color, color, source, hand)
            if depth is not None:
                depth = _moved(depth, color if recipe.mixed_depth and name == "left" else depth, source, hand)
    return color, depth


def late_source(missing: np.ndarray) -> np.ndarray:
    """The window position whose crop stands at each position, as the reference imputes.

    A hand that is missing at position i (bool (L,)) is recorded as i + 1; a recorded position takes the crop of the
    nearest one that is not recorded, of two the earlier. Position 0 is never recorded.
    """
    recorded = np.concatenate([[False], missing[:-1]])
    kept = np.flatnonzero(~recorded)
    positions = np.arange(len(missing))
    nearest = kept[np.abs(positions[:, None] - kept[None, :]).argmin(axis=1)]
    return np.where(recorded, nearest, positions)


def _swapped(color: Pick, depth: Pick, where: np.ndarray, hand: int) -> tuple[Pick, Pick]:
    """Colour and depth exchanged at some positions of a hand; what gets into the depth clip becomes grey."""
    color_kind, depth_kind = color.kind.copy(), depth.kind.copy()
    color_kind[where, hand], depth_kind[where, hand] = DEPTH, COLOR_AS_GREY
    return color._replace(kind=color_kind), depth._replace(kind=depth_kind)


def _moved(pick: Pick, other: Pick, source: np.ndarray, hand: int) -> Pick:
    """`pick` with, where the source is another position, what `other` has there (colour stays colour)."""
    moved = source != np.arange(len(source))
    frame, kind = pick.frame.copy(), pick.kind.copy()
    frame[moved, hand] = other.frame[source[moved], hand]
    kind[moved, hand] = other.kind[source[moved], hand]
    return Pick(frame, kind)
