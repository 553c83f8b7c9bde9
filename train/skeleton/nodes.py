"""The skeleton stream's input: 25 nodes of BODY_135, from pixels to coordinates about the neck in shoulder widths.

NumPy only: a loader's worker prepares one clip at a time. Nothing that is missing is ever imputed.
"""

import numpy as np

from shards.body135 import LEFT_SHOULDER, MIRRORED_POINTS, RIGHT_SHOULDER, UPPER_NECK
from shards.format.sample import LARGEST_NUMBER

# Points of BODY_135: nose, shoulders, elbows and wrists (left before right), then of the left hand and of the right
# one the tip of the thumb, and of the four fingers the knuckle (MCP) and the tip.
BODY_NODES = (0, 5, 6, 7, 8, 9, 10)
LEFT_HAND_NODES = (28, 29, 32, 33, 36, 37, 40, 41, 44)
RIGHT_HAND_NODES = tuple(point + 20 for point in LEFT_HAND_NODES)
NODES = np.array([*BODY_NODES, *LEFT_HAND_NODES, *RIGHT_HAND_NODES])

# From here on by place in NODES. The nose has no parent: it is its own, and its bone is 0.
_PARENT_POINTS = {5: 0, 6: 0, 7: 5, 8: 6, 9: 7, 10: 8}
_PARENT_POINTS |= {28: 9, 29: 9, 33: 9, 37: 9, 41: 9, 32: 29, 36: 33, 40: 37, 44: 41}
_PARENT_POINTS |= {48: 10, 49: 10, 53: 10, 57: 10, 61: 10, 52: 49, 56: 53, 60: 57, 64: 61}
_place = {point: place for place, point in enumerate(NODES.tolist())}
PARENTS = np.array([_place[_PARENT_POINTS.get(point, point)] for point in NODES.tolist()])
# Each node's counterpart on the other side of the body.
MIRRORED = np.array([_place[point] for point in MIRRORED_POINTS[NODES].tolist()])
HAND_PLACES = (slice(7, 16), slice(16, 25))  # left, right
KNUCKLES = slice(1, 8, 2)  # in a hand

LIMIT = 4.0  # shoulder widths; a point farther off is an estimator's error
# Where no frame shows both shoulders: the longer side of the box around all that the clip shows, in shoulder widths
# (2,130 clips of `asl-words`: median 2.60, from 1.87 at 5 % to 3.74 at 95 %).
BOX = 2.6


def sampled_frames(
    count: np.ndarray,
    length: int,
    begin: np.ndarray | float = 0.0,
    end: np.ndarray | float = 1.0,
    bend: np.ndarray | float = 0.0,
) -> np.ndarray:
    """The frames of clips that stand for their course in time: evenly spread, each the nearest there is.

    Args:
        count: int (…), frames of each clip, at least 1.
        length: T ≥ 2, how many are wanted.
        begin: float (…), where the first lies, as a fraction of the clip…
        end: …and the last.
        bend: uneven speed, in (-1, 1): the pace goes from 1 + bend at the begin to 1 - bend at the end.

    Returns:
        int64 (…, T), not decreasing; frames are repeated where there are fewer than T.
    """
    first, last, bend = (np.asarray(value)[..., None] for value in (begin * (count - 1), end * (count - 1), bend))
    # As np.linspace, which computes another way, and so may round another way, where one of the clips has one frame.
    position = first + np.arange(length) * ((last - first) / (length - 1))
    position = position + (last - first) * bend / np.pi * np.sin(np.pi * np.linspace(0, 1, length))
    position[..., -1] = last[..., 0]
    return np.rint(position).astype(np.int64)


def place_in_body(skeletons: np.ndarray, center: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Change pixels to shoulder widths about the center.

    Args:
        skeletons: float32 (B, T, 25, 3): x, y in pixels, score; changed in place to x, y within ±4, score, where what
            is missing is (0, 0, 0). A score of 0 (or below, or NaN) hides a point, whatever its coordinates.
        center: float32 (B, 2), as `body_frame` gives it…
        width: …float32 (B,).

    Returns:
        bool (B,): whether all its numbers can be; where not, a point that has a score has no place.
    """
    skeletons[~(skeletons[..., 2] > 0)] = 0
    place = skeletons[..., :2]
    # Comparisons with NaN are false.
    possible = (np.abs(skeletons) <= LARGEST_NUMBER).all((1, 2, 3)) & (np.abs(center) <= LARGEST_NUMBER).all(1)
    possible &= width <= LARGEST_NUMBER
    place -= center[:, None, None]
    place /= width[:, None, None, None]
    np.clip(place, -LIMIT, LIMIT, out=place)
    place[skeletons[..., 2] == 0] = 0
    return possible


def body_frame(keypoints: np.ndarray) -> tuple[np.ndarray, float]:
    """Where the body of a clip is, and how large: medians over all frames, so that moving about stays visible.

    Args:
        keypoints: float32 (L, 135, 3), x, y, score.

    Returns:
        The center in pixels, (2,): the median upper neck (point 17), else the median middle of the shoulders, else the
        mean of all nodes that are there. And the shoulder width in pixels, above 0: its median, else estimated from
        the size of what is there. NaN where one of the points that they are taken from has a score and no place.
    """
    neck, left, right = (keypoints[:, point] for point in (UPPER_NECK, LEFT_SHOULDER, RIGHT_SHOULDER))
    necks = neck[neck[:, 2] > 0, :2]
    both = (left[:, 2] > 0) & (right[:, 2] > 0)
    left, right = left[both, :2], right[both, :2]
    width = float(_median(np.hypot(*(left - right).T))) if len(left) else 0.0
    if width and len(necks):
        return _median(necks), width
    nodes = keypoints[:, NODES]
    there = nodes[nodes[..., 2] > 0, :2]
    if not len(there):
        there = np.zeros((1, 2), np.float32)
    if len(necks):
        center = _median(necks)
    elif len(left):
        center = _median((left + right) / 2)
    else:
        center = there.mean(axis=0)
    return center, width or float(np.ptp(there, axis=0).max()) / BOX or 1.0


def _median(values: np.ndarray) -> np.ndarray:
    """As `np.median(values, axis=0)`, which takes four times as long; NaN where a value cannot be."""
    ordered, count = np.sort(values, axis=0), len(values)
    middle = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    return middle if (np.abs(ordered) <= LARGEST_NUMBER).all() else middle * np.nan
