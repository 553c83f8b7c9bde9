"""Test-time views: one answer from several views of a clip.

The answer's probabilities are the mean of the views' probabilities, as when models are fused (`fusion.py`, which says
why not of their logits): a view then has at most its share of the say. A window that falls beside the sign often has an
answer as sure as it is wrong, and in a mean of logits its size would outvote the others.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax, logsumexp

from shards.errors import InputError
from shards.format.recipe import Recipe
from train.data.views import EVALUATION, View

# Of a clip, in a window of a model that sees whole clips: the middle of what training crops to (0.7 to 1).
PART = 0.85


@dataclass(frozen=True)
class ViewSettings:
    """How a clip is shown; fields are named as the options. The default is plain evaluation: the centered window."""

    windows: int = 1  # spread over the free start positions
    mirror: bool = False  # each window mirrored, too
    sliding: int | None = None  # frames from one window's start to the next, each with an answer of its own

    def check(self, recipe: Recipe) -> None:
        """InputError where a recipe has no such views."""
        if recipe.off_centre_window and (self.windows > 1 or self.sliding):
            raise InputError(
                f"--windows and --sliding choose where the window starts, which the {recipe.name} recipe does not let "
                "them (off_centre_window); leave them out"
            )
        if recipe.flip_pixels_only and self.mirror:
            raise InputError(
                f"--mirror swaps the hands and mirrors the motion; models of the {recipe.name} recipe only ever saw "
                "mirrored pixels (flip_pixels_only); leave it out"
            )

    def views(self, whole_clips: bool) -> list[View]:
        """One view per window, not mirrored: at the middles of equal parts of the free start positions.

        The middle one of an odd number is the centered window of evaluation itself. A model that sees `whole_clips`
        sees the whole one with one window, and with several windows of `PART` of the clip.
        """
        middles = [(number + 0.5) / self.windows for number in range(self.windows)]
        if whole_clips:
            begins = [(1 - PART) * middle for middle in middles]
            return [EVALUATION] if self.windows == 1 else [View(part=(begin, begin + PART)) for begin in begins]
        return [EVALUATION if middle == 0.5 else View(start=middle) for middle in middles]


def mean_of_views(logits: np.ndarray) -> np.ndarray:
    """Logits (N, C) whose softmax is the mean of V views' probabilities, from logits (N, V, C).

    With one view they stay as they are.
    """
    count = logits.shape[1]
    if count == 1:
        return logits[:, 0]
    probabilities = log_softmax(logits.astype(np.float64), axis=2)
    return (logsumexp(probabilities, axis=1) - np.log(count)).astype(np.float32)
