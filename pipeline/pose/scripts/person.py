"""Following one person through frames of several people."""

import numpy as np

CHOICES = ("first", "largest", "central")

# How far a person may move from one frame to the next, as a share of the diagonal of their box: farther away it is
# somebody else. It grows with the frames since they were last seen, up to the whole diagonal.
_FARTHEST_PER_FRAME, _FARTHEST = 0.3, 1.0


def follow(people: np.ndarray, choice: str, size: tuple[int, int] | None = None) -> np.ndarray:
    """The points of one person: in the first frame with anybody by `choice`, then the nearest to where they were.

    Args:
        people: (T, P, N, 3) x, y, score of P people; missing points, and people who are not there, are 0.
        choice: `first` of the file, `largest` box, or `central`: nearest to the middle of the picture.
        size: width and height of the picture, in the unit of the coordinates; `central` needs it.

    Returns:
        (T, N, 3); 0 in frames in which nobody is near enough.

    Raises:
        ValueError: `central`, and the size is not known.
    """
    if people.shape[1] == 1:
        return people[:, 0]
    followed = np.zeros_like(people[:, 0])
    last: np.ndarray | None = None
    gap = 0
    for frame, candidates in enumerate(people):
        gap += 1
        there = candidates[(candidates[..., 2] > 0).any(axis=1)]
        if not len(there):
            continue
        if last is None:
            chosen: np.ndarray | None = _choose(there, choice, size)
        else:
            chosen = _nearest(there, last, gap)
        if chosen is not None:
            followed[frame] = last = chosen
            gap = 0
    return followed


def _choose(people: np.ndarray, choice: str, size: tuple[int, int] | None) -> np.ndarray:
    if choice == "first":
        return people[0]
    boxes = np.array([_box(person) for person in people])
    if choice == "largest":
        return people[np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).argmax()]
    if size is None:
        raise ValueError("the size of the picture must be known to find the central person")
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    return people[np.linalg.norm(middles - np.array(size) / 2, axis=1).argmin()]


def _nearest(people: np.ndarray, last: np.ndarray, gap: int) -> np.ndarray | None:
    distances = np.array([_distance(person, last) for person in people])
    nearest = people[distances.argmin()]
    farthest = min(_FARTHEST, _FARTHEST_PER_FRAME * gap) * max(_diagonal(nearest), _diagonal(last))
    return nearest if distances.min() <= farthest else None


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """Mean distance of the points that are seen in both; of the middles of the boxes where none is."""
    seen = (one[:, 2] > 0) & (other[:, 2] > 0)
    if seen.any():
        return float(np.linalg.norm(one[seen, :2] - other[seen, :2], axis=1).mean())
    first, second = _box(one), _box(other)
    return float(np.linalg.norm((first[:2] + first[2:] - second[:2] - second[2:]) / 2))


def _box(person: np.ndarray) -> np.ndarray:
    seen = person[person[:, 2] > 0, :2]
    return np.concatenate([seen.min(axis=0), seen.max(axis=0)])


def _diagonal(person: np.ndarray) -> float:
    box = _box(person)
    return float(np.linalg.norm(box[2:] - box[:2]))
