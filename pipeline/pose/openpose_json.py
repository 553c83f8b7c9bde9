"""OpenPose's JSON: one file per frame, and what can be wrong with it."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import orjson

from pipeline.errors import ClipError
from pipeline.pose.layouts.keypoint_files import LARGEST_FRAME, frame_files, read_file
from pipeline.pose.scripts.person import follow
from shards.body135 import POINTS

# Not a hidden one: macOS writes ._NAME beside a file, on disks and into archives.
FRAME_FILE = re.compile(r"(?:^|/)(?!\.)[^/]*_(\d{12})_keypoints\.json$")


def parse_frame(data: bytes, name: str) -> np.ndarray:
    """Keypoints of the people of a frame.

    Returns:
        float32 (P, 135, 3): x, y in pixels, score; one person of zeros when nobody was found.

    Raises:
        ClipError: not OpenPose's JSON, not BODY_135, or not finite.
    """
    try:
        people = orjson.loads(data)["people"]
        if not people:
            return np.zeros((1, POINTS, 3), np.float32)
        with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is refused below
            points = np.array([person["pose_keypoints_2d"] for person in people], np.float32)
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError) as error:
        raise ClipError(f"{name}: not OpenPose's JSON ({type(error).__name__}: {error})") from error
    if points.ndim != 2:
        raise ClipError(f"{name}: not OpenPose's JSON (its pose_keypoints_2d is not a list of numbers)")
    if points.shape[1] != POINTS * 3:
        numbers = f"{points.shape[1]} numbers where BODY_135 has {POINTS * 3}"
        raise ClipError(f"{name}: {numbers}; use --model_pose BODY_135, or give --keypoints the unpacked folder")
    if not np.isfinite(points).all():
        raise ClipError(f"{name}: a keypoint is not a finite number")
    return points.reshape(-1, POINTS, 3)


def stack_frames(frames: Mapping[int, np.ndarray], count: int, source: str) -> np.ndarray:
    """One person through the frames 0 … count - 1 of a clip, float32 (T, 135, 3), of (P, 135, 3) people in each.

    Raises:
        ClipError: another number of frames, or no person in any.
    """
    if sorted(frames) != list(range(count)):
        missing = next((number for number in range(count) if number not in frames), None)
        wrong = f"frame {missing} is missing" if missing is not None else f"frame {max(frames)} is too many"
        raise ClipError(f"{source}: keypoints of {len(frames)} frames for a video of {count}; {wrong}")
    people = np.zeros((count, max(map(len, frames.values())), POINTS, 3), np.float32)
    for number, found in frames.items():
        people[number, : len(found)] = found
    keypoints = follow(people, "largest")
    if not keypoints[..., :2].any():
        raise ClipError(f"{source}: no person found in any of {count} frames")
    return keypoints


def read_folder(folder: Path, count: int, clip: str) -> np.ndarray:
    """The keypoints of a clip of `count` frames from a folder of `<clip>_<frame:012d>_keypoints.json`.

    An estimator's folder is gone when an error is read: errors name the clip.

    Raises:
        ClipError: a frame is wrong, missing or there twice.
    """
    paths = frame_files(folder, FRAME_FILE)
    if not paths:
        raise ClipError(f"{clip}: the estimator wrote no frame's keypoints (*_keypoints.json)")
    frames = {
        number: parse_frame(read_file(path, LARGEST_FRAME), f"{clip}: {path.name}") for number, path in paths.items()
    }
    return stack_frames(frames, count, clip)


def refuse_gaps(folder: Path) -> None:
    """See that a folder of BODY_135 has a file for every frame from 0 on: OpenPose writes one also where nobody is.

    Raises:
        ClipError: a frame's file is missing.
    """
    numbers = frame_files(folder, FRAME_FILE)
    missing = next((number for number in range(max(numbers, default=0)) if number not in numbers), None)
    if missing is not None:
        raise ClipError(f"{folder}: keypoints of {len(numbers)} frames; frame {missing} is missing")
