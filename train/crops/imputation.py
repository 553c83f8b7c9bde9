"""Which crop stands at each position of the model's input."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from shards.body135 import HANDS
from shards.format.recipe import Recipe

COLOR, DEPTH, COLOR_AS_GRAY = 0, 1, 2
# For warnings: what the model sees then.
GUESSES_UNKNOWN = (
    "made by an earlier version, which did not keep which hands were guessed: they are shown as they were cut "
    "(`pipeline run` on the same workspace adds it)"
)


class CropChoice(NamedTuple):
    """For every window position and hand, (L, 2): the frame whose crop is taken, and which of its pictures."""

    frame: np.ndarray  # int
    kind: np.ndarray  # COLOR, DEPTH or COLOR_AS_GRAY


class HandFlags(NamedTuple):
    """What a sample's JSON says of a hand in each of its T frames."""

    missing: Sequence[int]
    guessed: Sequence[int] | None  # None: not known, as in shards that were made before it was kept


def choose_crops(
    frames: np.ndarray, hands: Mapping[str, HandFlags], recipe: Recipe, with_depth: bool
) -> tuple[CropChoice, CropChoice | None]:
    """What goes into the color clip and, `with_depth`, into the depth clip.

    Args:
        frames: int (L,), the sampled frames.
        hands: by `HANDS`.
        recipe: `guessed_hands_shown`, `late_hand_imputation` and `mixed_depth`.
        with_depth: for a model that sees depth.
    """
    frame = frames[:, None].repeat(2, axis=1)
    if not recipe.guessed_hands_shown:
        frame = np.stack([nearest_found(frames, hands[name]) for name in HANDS], axis=1)
    color = CropChoice(frame, np.full_like(frame, COLOR))
    depth = CropChoice(frame, np.full_like(frame, DEPTH)) if with_depth else None
    if recipe.late_hand_imputation:
        for hand, name in enumerate(HANDS):
            lost = np.array(hands[name].missing, bool)[frames]
            if recipe.mixed_depth and depth is not None and name == "right":
                color, depth = _exchanged(color, depth, lost, hand)
            source = late_source(lost)
            color = _moved(color, color, source, hand)
            if depth is not None:
                depth = _moved(depth, color if recipe.mixed_depth and name == "left" else depth, source, hand)
    return color, depth


def nearest_found(frames: np.ndarray, hand: HandFlags) -> np.ndarray:
    """The frames whose crops stand for the sampled ones, int (L,): the nearest of the clip with the hand found.

    Of two equally near ones it is the earlier. Where no frame is a guess, or none shows the hand, every frame has its
    own crop: what stands for a missing hand is in the table of JPEGs already.
    """
    if not hand.guessed or 1 not in hand.guessed:
        return frames
    found = np.flatnonzero(~(np.array(hand.missing, bool) | np.array(hand.guessed, bool)))
    return found[np.abs(frames[:, None] - found).argmin(axis=1)] if len(found) else frames


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


def _exchanged(color: CropChoice, depth: CropChoice, where: np.ndarray, hand: int) -> tuple[CropChoice, CropChoice]:
    """Color and depth exchanged at some positions of a hand; what gets into the depth clip becomes gray."""
    color_kind, depth_kind = color.kind.copy(), depth.kind.copy()
    color_kind[where, hand], depth_kind[where, hand] = DEPTH, COLOR_AS_GRAY
    return color._replace(kind=color_kind), depth._replace(kind=depth_kind)


def _moved(choice: CropChoice, other: CropChoice, source: np.ndarray, hand: int) -> CropChoice:
    """`choice` with, where the source is another position, what `other` has there (color stays color)."""
    moved = source != np.arange(len(source))
    frame, kind = choice.frame.copy(), choice.kind.copy()
    frame[moved, hand] = other.frame[source[moved], hand]
    kind[moved, hand] = other.kind[source[moved], hand]
    return CropChoice(frame, kind)
