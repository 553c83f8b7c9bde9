"""Folders of JSON as OpenPose's `--write_json` leaves them: one file per frame, everybody in it."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from pipeline.errors import ClipError
from pipeline.pose.layouts.keypoint_files import (
    JSON_FRAME,
    LARGEST_FRAME,
    frame_files,
    frame_places,
    one_line,
    read_file,
)
from pipeline.pose.layouts.layout import BODY, FACE, LEFT_HAND, RIGHT_HAND, FileKeypoints, KeypointLayout, mark_missing
from pipeline.pose.layouts.point_tables import LAYOUTS

KEYS = {
    BODY: "pose_keypoints_2d",
    FACE: "face_keypoints_2d",
    LEFT_HAND: "hand_left_keypoints_2d",
    RIGHT_HAND: "hand_right_keypoints_2d",
}
# People who are looked at to tell BODY_25 from BODY_25B.
_ENOUGH_PEOPLE = 10


def look(folder: Path, named: str | None = None) -> KeypointLayout | str:
    """The layout of a folder of JSON, or why it cannot be used. A folder in which nobody was found passes as BODY_135.

    `named` is believed between BODY_25 and BODY_25B.

    Raises:
        ClipError: a file is damaged.
    """
    frames = frame_files(folder, JSON_FRAME).values()
    people = list(islice((person for path in frames for person in _people(path)), _ENOUGH_PEOPLE))
    if not people:
        return LAYOUTS[named or "body135"]
    numbers = {len(person[BODY]) for person in people}
    if numbers == {405}:
        return LAYOUTS["body135"]
    if numbers == {54}:
        return "it is OpenPose's COCO-18 (54 numbers), which is not read; estimate it with --model_pose BODY_25 --hand"
    if numbers != {75}:
        return f"its people have {', '.join(map(str, sorted(numbers)))} numbers, where BODY_25 has 75 and BODY_135 405"
    if not any(len(person[hand]) for person in people for hand in (LEFT_HAND, RIGHT_HAND)):
        return "it is a body without hands; estimate it with --hand"
    if named in ("body25", "body25b"):
        return LAYOUTS[named]
    name = _which_of_25(np.array([person[BODY] for person in people]).reshape(-1, 25, 3))
    if name is None:
        return "BODY_25 and BODY_25B cannot be told apart in it; name it with --keypoint-layout body25 or body25b"
    return LAYOUTS[name]


def _which_of_25(people: np.ndarray) -> str | None:
    """`body25` or `body25b` for (P, 25, 3) people, by whether point 1, or 8, lies between points 2 and 5, or 9 and 12.

    In BODY_25 these are the neck between the shoulders and the hip between the hips. In BODY_25B point 1 is an eye,
    2 the other one, 5 a shoulder; and 8 an elbow, 9 a wrist, 12 a hip.
    """
    votes = 0
    for middle, one, other in ((1, 2, 5), (8, 9, 12)):
        seen = (people[:, [middle, one, other], 2] > 0).all(axis=1)
        points = people[seen, :, :2]
        off = np.linalg.norm(points[:, middle] - (points[:, one] + points[:, other]) / 2, axis=1)
        apart = np.linalg.norm(points[:, one] - points[:, other], axis=1)
        votes += int(np.where(off < 0.25 * apart, 1, -1).sum())
    return None if votes == 0 else "body25" if votes > 0 else "body25b"


def load(folder: Path, layout: KeypointLayout) -> FileKeypoints:
    """The people of every frame; frames without a file have nobody.

    Raises:
        ClipError: a frame is damaged, of another layout, or there twice.
    """
    files = frame_files(folder, JSON_FRAME)
    places, count = frame_places(files)
    found = {places[number]: _points(path, layout) for number, path in files.items()}
    most = max(1, *(len(people) for people in found.values()))
    points = np.zeros((count, most, layout.points, 3))
    for frame, people in found.items():
        points[frame, : len(people)] = people
    return FileKeypoints(mark_missing(points))


def _people(path: Path) -> list[dict[str, np.ndarray]]:
    """The numbers of each part of the people of a frame; a part that is not there has none."""
    try:
        people = orjson.loads(read_file(path, LARGEST_FRAME))["people"]
        if not isinstance(people, list):
            raise TypeError("people is not a list")
        return [{part: _numbers(person.get(key, [])) for part, key in KEYS.items()} for person in people]
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ClipError(f"{path}: not OpenPose's JSON ({type(error).__name__}: {one_line(error)})") from error


def _numbers(values: Any) -> np.ndarray:
    """A list of numbers; null, as NaN is written in JSON, is a number that is not finite."""
    array = np.array(values, np.float64)
    if array.ndim != 1:
        raise TypeError("keypoints are not a list of numbers")
    return array


def _points(path: Path, layout: KeypointLayout) -> np.ndarray:
    """(P, N, 3) points of the people of a frame."""
    people = _people(path)
    points = np.zeros((len(people), layout.points, 3))
    for person, rows in zip(people, points, strict=True):
        for part, start in layout.placed():
            values = person[part.name]
            if len(values) == part.points * 3:
                rows[start : start + part.points] = values.reshape(-1, 3)
            elif len(values) or part.name == BODY:  # other parts are empty where they were not asked for
                wanted = f"where {layout.title} has {part.points * 3}"
                raise ClipError(f"{path}: {len(values)} numbers in {KEYS[part.name]}, {wanted}")
    return points
