"""Reading the keypoints of a clip, whatever their layout."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import ClipError
from pipeline.pose.layouts import arrays, dot_pose, gislr, openpose
from pipeline.pose.layouts.apply import apply_layout, are_fractions, finish
from pipeline.pose.layouts.keypoint_files import JSON_FOLDER, kind_of
from pipeline.pose.layouts.layout import PIXELS, FileKeypoints, KeypointLayout
from pipeline.pose.scripts.person import follow

# Two pictures have the same shape where width by height differs by at most this share; sizes are whole numbers.
_SAME_SHAPE = 0.02


@dataclass(frozen=True)
class Keypoints:
    """The keypoints of a clip."""

    points: np.ndarray  # float32 (T, 135, 3): x, y in pixels, score; missing = (0, 0, 0)
    fps: float | None  # of the video, where the file says it
    size: tuple[int, int] | None  # width and height of the picture that the pixels are of, where it is known


def read_keypoints(
    path: Path, layout: KeypointLayout, size: tuple[int, int] | None, mirrored: bool = False, person: str = "largest"
) -> Keypoints:
    """Read the keypoints of a clip and bring them to BODY_135.

    What is too uncertain by the layout's table is missing, and the neck is constructed where the layout has none.

    Args:
        path: the file, or the folder with a file for each frame.
        layout: as `find_layout` gave it.
        size: width and height of the clip's picture; None where it is not known, and the file has to say it.
        mirrored: the estimator saw a mirrored picture; the keypoints are turned back.
        person: whom to follow where there are several: `first`, `largest` or `central`, see `person.follow`.

    Raises:
        ClipError: the file is damaged or does not have this layout, or the size is needed and not known.
        InputError: a package that reads the file is not installed.
    """
    source = load_source(path, layout)
    try:
        points = source.points
        if size and source.size and layout.units == PIXELS:
            points = _scaled(points, source.size, size)
        size = size or source.size
        points = follow(points, person, _in_its_units(points, layout, size))
        body135 = apply_layout(points, layout, size, mirrored)
    except ValueError as error:
        raise ClipError(f"{path}: {error}") from error
    return Keypoints(finish(body135, layout), source.fps, size)


def load_source(path: Path, layout: KeypointLayout) -> FileKeypoints:
    """What a clip's file or folder holds: everybody, in the points and units of its layout.

    Raises:
        ClipError, InputError: see `read_keypoints`.
    """
    kind = kind_of(path)
    if kind == JSON_FOLDER:
        return openpose.load(path, layout)
    if kind == "pose":
        return dot_pose.load(path, layout)
    if kind == "parquet":
        return gislr.load(path, layout)
    if kind is None:
        raise ClipError(f"{path}: no keypoints there, or none that can be read")
    return arrays.load_points(path, kind, layout)


def _scaled(points: np.ndarray, source: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """The pixels of a smaller or larger version of the picture, of size `source`, as those of the clip's."""
    if source == size:
        return points
    width, height = source
    if min(width, height) <= 0 or abs(width * size[1] / (height * size[0]) - 1) > _SAME_SHAPE:
        raise ValueError(f"keypoints of a picture of {width}×{height}, where the clip's is {size[0]}×{size[1]}")
    return points * [size[0] / width, size[1] / height, 1]


def _in_its_units(points: np.ndarray, layout: KeypointLayout, size: tuple[int, int] | None) -> tuple[int, int] | None:
    """The size of the picture in the units of (T, P, N, 3) points, where there are people to choose from."""
    if points.shape[1] == 1:
        return size
    return (1, 1) if are_fractions(points.reshape(-1, *points.shape[2:]), layout) else size
