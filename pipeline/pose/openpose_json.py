"""OpenPose's JSON: one file per frame, and what can be wrong with it."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import orjson

from pipeline.errors import ClipError
from shards.body135 import POINTS
from shards.format.sample import array_from_npy

# Not a hidden one: macOS writes ._NAME beside a file, on disks and into archives.
FRAME_FILE = re.compile(r"(?:^|/)(?!\.)[^/]*_(\d{12})_keypoints\.json$")


def parse_frame(data: bytes, name: str) -> np.ndarray:
    """Keypoints of the first person of a frame.

    Returns:
        float32 (135, 3): x, y in pixels, score; all 0 when nobody was found.

    Raises:
        ClipError: not OpenPose's JSON, not BODY_135, or not finite.
    """
    try:
        people = orjson.loads(data)["people"]
        if not people:
            return np.zeros((POINTS, 3), np.float32)
        with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is refused below
            values = np.array(people[0]["pose_keypoints_2d"], np.float32)
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError) as error:
        raise ClipError(f"{name}: not OpenPose's JSON ({type(error).__name__}: {error})") from error
    if values.ndim != 1:
        raise ClipError(f"{name}: not OpenPose's JSON (its pose_keypoints_2d is not a list of numbers)")
    if len(values) != POINTS * 3:
        raise ClipError(f"{name}: {values.size} numbers where BODY_135 has {POINTS * 3}; use --model_pose BODY_135")
    if not np.isfinite(values).all():
        raise ClipError(f"{name}: a keypoint is not a finite number")
    return values.reshape(POINTS, 3)


def stack_frames(frames: Mapping[int, np.ndarray], count: int, source: str) -> np.ndarray:
    """The frames 0 … count - 1 of a clip as float32 (T, 135, 3).

    Raises:
        ClipError: another number of frames, or no person in any.
    """
    if sorted(frames) != list(range(count)):
        missing = next((number for number in range(count) if number not in frames), None)
        wrong = f"frame {missing} is missing" if missing is not None else f"frame {max(frames)} is too many"
        raise ClipError(f"{source}: keypoints of {len(frames)} frames for a video of {count}; {wrong}")
    keypoints = np.stack([frames[number] for number in range(count)])
    if not keypoints[..., :2].any():
        raise ClipError(f"{source}: no person found in any of {count} frames")
    return keypoints


def read_folder(folder: Path, count: int | None) -> np.ndarray:
    """The keypoints of a clip of `count` frames from a folder of `<clip>_<frame:012d>_keypoints.json`.

    None: of as many frames as there are files.

    Raises:
        ClipError: the folder is missing, or a frame is wrong, missing or there twice.
    """
    if not folder.is_dir():
        raise ClipError(f"{folder}: no such folder of keypoints")
    paths: dict[int, Path] = {}
    for path in folder.iterdir():
        if match := FRAME_FILE.search(path.name):
            first = paths.setdefault(int(match[1]), path)
            if first != path:
                one, other = sorted((first.name, path.name))
                raise ClipError(f"{folder}: {one} and {other} are both frame {int(match[1])}; remove one")
    frames = {number: parse_frame(path.read_bytes(), str(path)) for number, path in paths.items()}
    if not frames:
        raise ClipError(f"{folder}: no frame's keypoints (*_keypoints.json) in it")
    return stack_frames(frames, len(frames) if count is None else count, str(folder))


def read_own(source: str) -> np.ndarray:
    """The keypoints of a clip that brings its own: a folder of JSON, or a `.npy` of float (T, 135, 3).

    Raises:
        ClipError: it is neither, or damaged.
    """
    path = Path(source)
    if path.suffix != ".npy" or path.is_dir():
        return read_folder(path, None)
    try:
        keypoints = array_from_npy(path.read_bytes())
    except (ValueError, EOFError) as error:
        raise ClipError(f"{path}: not a .npy file ({error})") from error
    if keypoints.ndim != 3 or keypoints.shape[1:] != (POINTS, 3) or keypoints.dtype.kind != "f" or not len(keypoints):
        raise ClipError(f"{path}: not float (T, {POINTS}, 3), but {keypoints.dtype} {keypoints.shape}")
    return stack_frames(dict(enumerate(keypoints)), len(keypoints), source)
