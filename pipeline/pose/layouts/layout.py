"""What a keypoint layout is, and what the readers of files hand on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

# What coordinates are: of the picture, or of its width and height; or to be told from the numbers of the file.
PIXELS, FRACTION, EITHER = "pixels", "fraction", "either"

BODY, FACE, LEFT_HAND, RIGHT_HAND = "body", "face", "left_hand", "right_hand"


@dataclass(frozen=True)
class PointRun:
    """A run of points in a layout.

    A point is missing where a coordinate is not finite, where x and y are both 0 or both -1, or where its score is 0
    or lower than `min_score`; all points of a part are, in a frame, where their mean score is lower than
    `min_mean_score`.
    """

    name: str
    points: int
    body135: Mapping[int, int]  # point of BODY_135: point of this part that it is
    numbers: int = 3  # of a point in a flat array; x and y are the first two
    score: int | None = 2  # which number is the score; None, or not there: 1 for every point that is not missing
    min_score: float = 0.0
    min_mean_score: float = 0.0


@dataclass(frozen=True)
class KeypointLayout:
    """The points of a file, in their order: a table of `point_tables.py`."""

    name: str  # as a user types it
    title: str  # what it is called elsewhere
    parts: tuple[PointRun, ...]
    units: str = EITHER

    @property
    def points(self) -> int:
        """Number of points in a frame."""
        return sum(part.points for part in self.parts)

    @property
    def numbers(self) -> int:
        """Number of numbers in a frame of a flat array."""
        return sum(part.points * part.numbers for part in self.parts)

    @property
    def body135(self) -> dict[int, int]:
        """Point of BODY_135: point of the layout that it is."""
        return {
            target: start + point for part, start in self.placed() for target, point in sorted(part.body135.items())
        }

    def placed(self) -> list[tuple[PointRun, int]]:
        """The parts, each with its first point."""
        starts = np.cumsum([0] + [part.points for part in self.parts]).tolist()
        return list(zip(self.parts, starts, strict=False))


@dataclass(frozen=True)
class FileKeypoints:
    """What a file holds, before a table is applied."""

    points: np.ndarray  # float64 (T, P, N, 3): x, y, score of P people in the layout's N points; missing = 0
    fps: float | None = None  # of the video, where the file says it
    size: tuple[int, int] | None = None  # width and height of the picture, where the file says it


def mark_missing(points: np.ndarray) -> np.ndarray:
    """A copy of (…, 3) x, y, score with (0, 0, 0) wherever a point is missing by any of the usual conventions."""
    x, y, score = (points[..., index] for index in range(3))
    missing = ~np.isfinite(points).all(axis=-1) | (score <= 0) | ((x == y) & ((x == 0) | (x == -1)))
    return np.where(missing[..., None], 0, points)


def with_scores(values: np.ndarray, layout: KeypointLayout, scores: np.ndarray | None = None) -> np.ndarray:
    """(…, N, 3) x, y, score of (…, N, ≥ 2) numbers and, where they are apart, (…, N) scores; missing = 0."""
    points = np.ones((*values.shape[:-1], 3))
    points[..., :2] = values[..., :2]
    if scores is not None:
        points[..., 2] = scores
    else:
        for part, start in layout.placed():
            if part.score is not None and part.score < values.shape[-1]:
                rows = slice(start, start + part.points)
                points[..., rows, 2] = values[..., rows, part.score]
    return mark_missing(points)


def unflatten(values: np.ndarray, layout: KeypointLayout) -> np.ndarray:
    """(T, N, 3) x, y, score of the (T, F) numbers of a flat array; missing = 0."""
    frames, start = [], 0
    for part in layout.parts:
        end = start + part.points * part.numbers
        numbers = values[:, start:end].reshape(len(values), part.points, part.numbers)
        score = np.ones(numbers.shape[:2]) if part.score is None else numbers[..., part.score]
        frames.append(np.concatenate([numbers[..., :2], score[..., None]], axis=-1, dtype=np.float64))
        start = end
    return mark_missing(np.concatenate(frames, axis=1))
