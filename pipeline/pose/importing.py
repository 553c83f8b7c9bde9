"""Keypoints that others computed: reading a clip's, of any known layout, and whether they can be believed."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ClipError
from pipeline.pose.layouts.find import find_layout
from pipeline.pose.layouts.plausible import problems
from pipeline.pose.layouts.read import Keypoints, read_keypoints
from pipeline.pose.openpose_json import refuse_gaps
from pipeline.workspace.clip import Video
from shards.errors import InputError
from shards.format.sample import number_fault


@dataclass(frozen=True)
class ImportRules:
    """How keypoint files are read, where looking at them does not tell."""

    layout: str | None = None  # None: found by looking
    person: str = "largest"  # of several: see `scripts.person.CHOICES`
    size: tuple[int, int] | None = None  # of the picture, for fractions of clips without video
    mirrored: bool = False  # the frames were mirrored before the estimator saw them (SAM-SLR)

    def as_json(self) -> list[Any]:
        """What differs from the defaults, for fingerprints."""
        return [{key: value for key, value in asdict(self).items() if value != getattr(LOOK, key)} or None]


LOOK = ImportRules()  # look at the files


def read_import(path: Path, rules: ImportRules, video: Video | None) -> Keypoints:
    """The keypoints of a clip, in pixels of its picture.

    Args:
        path: file or folder.
        rules: how it is read.
        video: the clip's; None for a clip without one.

    Raises:
        ClipError: the file is not there, damaged, cannot be used, or is not this clip's.
    """
    try:
        layout = find_layout(path, rules.layout)
        if layout.name == "body135" and path.is_dir():
            refuse_gaps(path)
        stored = None if video is None else (round(video.width / video.aspect), video.height)
        keypoints = read_keypoints(path, layout, stored or rules.size, rules.mirrored, rules.person)
    except InputError as error:
        raise ClipError(error.message) from error
    if video is None:
        return keypoints
    return Keypoints(squared(keypoints.points, video), keypoints.fps, (video.width, video.height))


def squared(points: np.ndarray, video: Video) -> np.ndarray:
    """(T, 135, 3) points that others found in the pixels as they are stored, in the clip's, which are made square."""
    if video.aspect == 1:
        return points
    points = points.copy()
    points[..., 0] *= video.aspect
    return points


def believed(keypoints: np.ndarray, video: Video, source: str) -> tuple[np.ndarray, list[str]]:
    """Keypoints of a clip, with every mark of a missing point as (0, 0, 0), and what is odd about them.

    Args:
        keypoints: (T, 135, 3) x, y in pixels, score.
        video: the clip's.
        source: file or estimator, for messages.

    Raises:
        ClipError: they are not of this clip, or in another unit.
    """
    with np.errstate(over="ignore"):  # what is too large becomes infinite
        points = keypoints.astype(np.float32)
    points[(points[..., 2] <= 0) | (points[..., :2] == -1).all(axis=-1)] = 0
    if fault := number_fault(points):
        raise ClipError(f"{source}: a keypoint {fault}")
    found = problems(points, (video.width, video.height), video.frames)
    if refused := [problem.reason for problem in found if problem.refuse]:
        raise ClipError(f"{source}: {refused[0]}")
    return points, [problem.reason for problem in found]
