"""Whether keypoints can be those of a clip: units, size of the picture, who is seen, and which hand is whose."""

from dataclasses import dataclass

import numpy as np

from shards.body135 import (
    HAND_POINTS,
    LEFT_HIP,
    LEFT_SHOULDER,
    LEFT_WRIST,
    NOSE,
    POINTS,
    RIGHT_SHOULDER,
    RIGHT_WRIST,
)

# Roots of the fingers, the points of a hand that are nearest to its wrist.
_LEFT_HAND_ROOTS, _RIGHT_HAND_ROOTS = HAND_POINTS["left"][::4], HAND_POINTS["right"][::4]

# A person of this many pixels is none: these are fractions.
_SMALLEST_PERSON = 4.0
# Estimators guess points beyond the picture; of the median frame's points this share may lie farther outside than this
# share of the picture's size. In 2,130 webcam clips without hips in the picture no more than 3 % lay a quarter outside.
_FAR_OUTSIDE, _MOST_OUTSIDE = 0.5, 0.4
# Of the points above the hips at most 15 % lay outside at all in these; with coordinates of a picture of twice the size
# 31 % or more in 19 of 20 clips, and 89 % in the median one.
_MOST_JUST_OUTSIDE = 0.3
_ABOVE_HIPS = ~np.isin(np.arange(POINTS), [*range(LEFT_HIP, 17), *range(19, 25)])
_FEW_FRAMES = 0.5
_MOST_FRAMES = 0.8  # in which the person lies on the side, stands on the head, or has hands exchanged
_FAR_FROM_WRIST = 1.0  # shoulder widths


@dataclass(frozen=True)
class Problem:
    """Something about keypoints that is hardly true."""

    reason: str
    refuse: bool  # the keypoints are not this clip's, or in another unit; otherwise somebody should look


def problems(points: np.ndarray, size: tuple[int, int], frames: int) -> list[Problem]:
    """What is implausible in the keypoints of a clip; nothing where all is well.

    Args:
        points: (T, 135, 3) x, y in pixels, score; missing = 0.
        size: width and height of the picture.
        frames: of the video.
    """
    found = []
    if frames != len(points):
        found.append(Problem(f"keypoints of {len(points)} frames for a video of {frames}", True))
    seen = np.asarray(points[..., :2].any(axis=-1))
    if not seen.any():
        return [*found, Problem(f"no person in any of {len(points)} frames", True)]
    place = _units(points, seen) or _outside(points, seen, size) or _corner(points, seen, size)
    posture = [] if place else [_upright(points, seen), _hands(points, seen)]
    return found + [problem for problem in (place, *posture, _present(seen)) if problem]


def _units(points: np.ndarray, seen: np.ndarray) -> Problem | None:
    coordinates = points[..., :2][seen]
    if np.median(np.ptp(coordinates, axis=0)) > _SMALLEST_PERSON or np.abs(coordinates).max() > 100:
        return None
    lowest = "-1…1" if (coordinates < 0).mean() > 0.25 else "0…1"
    return Problem(f"coordinates of {lowest} are taken for pixels", True)


def _outside(points: np.ndarray, seen: np.ndarray, size: tuple[int, int]) -> Problem | None:
    place = points[..., :2] / size
    beyond = np.maximum(-place, place - 1).max(axis=-1)
    picture = f"outside of the picture of {size[0]}×{size[1]}"
    if (share := _median_share(beyond > _FAR_OUTSIDE, seen)) > _MOST_OUTSIDE:
        why = "keypoints of a larger one, or of another clip"
        return Problem(f"{share:.0%} of the points lie far {picture}: {why}", True)
    if (share := _median_share(beyond > 0, seen & _ABOVE_HIPS)) > _MOST_JUST_OUTSIDE:
        why = "keypoints of a larger one, or not counted from its upper left corner?"
        return Problem(f"{share:.0%} of the points above the hips lie {picture}: {why}", False)
    return None


def _median_share(those: np.ndarray, seen: np.ndarray) -> float:
    """Which share of the points that are seen are those, in the median frame that shows any."""
    there = seen.any(axis=1)
    shares = (those & seen)[there].sum(axis=1) / seen[there].sum(axis=1)
    return float(np.median(shares)) if len(shares) else 0.0


def _corner(points: np.ndarray, seen: np.ndarray, size: tuple[int, int]) -> Problem | None:
    """Everybody in the upper left quarter, as keypoints of a picture of half the size are, or less."""
    x, y = (points[..., :2][seen] / size).max(axis=0)
    if max(x, y) > 0.55:
        return None
    return Problem(
        f"all points lie in the upper left quarter of the picture of {size[0]}×{size[1]}: keypoints of a smaller one?",
        False,
    )


def _upright(points: np.ndarray, seen: np.ndarray) -> Problem | None:
    rows = seen[:, [NOSE, LEFT_SHOULDER, RIGHT_SHOULDER]].all(axis=1)
    if not rows.any():
        return None
    nose, left, right = (points[rows, point, :2] for point in (NOSE, LEFT_SHOULDER, RIGHT_SHOULDER))
    across, up = np.abs(left - right), nose - (left + right) / 2
    lying = (across[:, 1] > 2 * across[:, 0]) & (np.abs(up[:, 0]) > 2 * np.abs(up[:, 1]))
    if lying.mean() > _MOST_FRAMES:
        return Problem("the person lies on the side: x and y are exchanged, or the picture was not turned", False)
    if (up[:, 1] > np.abs(up[:, 0])).mean() > _MOST_FRAMES:
        return Problem("the person stands on the head: y goes up, or the picture was not turned", False)
    if (left[:, 0] < right[:, 0]).mean() > _MOST_FRAMES:
        return Problem("the left shoulder is left in the picture: left and right exchanged, or seen from behind", False)
    return None


def _hands(points: np.ndarray, seen: np.ndarray) -> Problem | None:
    """Which wrist each hand is nearer to, and how far from it."""
    shoulders = points[:, [LEFT_SHOULDER, RIGHT_SHOULDER], :2]
    width = np.linalg.norm(shoulders[:, 0] - shoulders[:, 1], axis=1)
    width *= seen[:, [LEFT_SHOULDER, RIGHT_SHOULDER]].all(axis=1)
    nearer_to_other, far = [], []
    sides = ((_LEFT_HAND_ROOTS, LEFT_WRIST, RIGHT_WRIST), (_RIGHT_HAND_ROOTS, RIGHT_WRIST, LEFT_WRIST))
    for roots, own, other in sides:
        rows = seen[:, [*roots, own]].all(axis=1) & (width > 0)
        middle = points[rows][:, roots, :2].mean(axis=1)
        distance = np.linalg.norm(middle - points[rows, own, :2], axis=1)
        far.append(distance > _FAR_FROM_WRIST * width[rows])
        wrists_apart = np.linalg.norm(points[rows, own, :2] - points[rows, other, :2], axis=1)
        both = seen[rows, other] & (wrists_apart > width[rows] / 2)
        nearer_to_other.append((np.linalg.norm(middle - points[rows, other, :2], axis=1) < distance)[both])
    exchanged, away = np.concatenate(nearer_to_other), np.concatenate(far)
    if len(exchanged) and exchanged.mean() > _MOST_FRAMES:
        return Problem("the hands are at the other hand's wrist: left and right hand exchanged", False)
    if len(away) and away.mean() > 0.5:
        return Problem(f"hands lie more than a shoulder's width from their wrists in {away.mean():.0%}", False)
    return None


def _present(seen: np.ndarray) -> Problem | None:
    there = int(seen.any(axis=1).sum())
    if there < _FEW_FRAMES * len(seen):
        return Problem(f"a person in {there} of {len(seen)} frames", False)
    if not seen[:, [*range(25, 65), LEFT_WRIST, RIGHT_WRIST]].any():
        return Problem("no hand and no wrist in any frame", False)
    return None
