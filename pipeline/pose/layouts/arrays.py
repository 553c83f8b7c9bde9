"""Arrays: `.npy` of a clip or of a frame each, `.npz`, and dicts of arrays in pickles."""

import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ClipError
from pipeline.pose.layouts.keypoint_files import NPY_DAMAGE, NPY_FOLDER, NPY_FRAME, frame_files, frame_places, one_line
from pipeline.pose.layouts.layout import FileKeypoints, KeypointLayout, unflatten, with_scores
from pipeline.pose.layouts.pickles import load_pickle

# The names that public programs give the two arrays, in the order in which they are looked for.
_POINTS_FIELDS = ("keypoints", "keypoint", "poses", "pose", "data", "arr_0")
_SCORE_FIELDS = ("scores", "confidences", "keypoint_scores", "keypoint_score", "score")
# And what zipfile makes of damaged, encrypted or unknown members; numpy opens a zip by whatever name.
_DAMAGE = (*NPY_DAMAGE, zipfile.BadZipFile, zlib.error, LookupError, AttributeError, NotImplementedError, RuntimeError)
_LARGEST_NPZ = 1 << 32  # bytes
_MOST_PEOPLE = 100
_MOST_NUMBERS = 700 * 4  # of a person: more than any layout has


def _load_array(path: Path) -> np.ndarray:
    """The numbers of a `.npy`; nothing is unpickled."""
    try:
        array = np.load(path, allow_pickle=False, mmap_mode="r")
    except _DAMAGE as error:
        raise ClipError(f"{path}: not a .npy file of numbers ({one_line(error)})") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise ClipError(f"{path}: not a .npy file of numbers")
    return array


def _load_folder(folder: Path) -> np.ndarray:
    """The frames of a folder with one `.npy` for each; a number without a file is a frame without anybody, all 0."""
    files = frame_files(folder, NPY_FRAME)
    places, count = frame_places(files)
    arrays = {number: _load_array(path) for number, path in files.items()}
    first = next(iter(arrays.values()))
    stacked = np.zeros((count, *first.shape))
    for number, array in arrays.items():
        if array.shape != first.shape:
            raise ClipError(f"{files[number]}: {array.shape} numbers, where the first frame has {first.shape}")
        stacked[places[number]] = array
    return stacked


def _load_fields(path: Path) -> dict[str, Any]:
    """What a `.npz` or a pickle holds, by name; an array alone is `keypoints`."""
    if path.suffix.lower() != ".npz":
        value = load_pickle(path)
    else:
        try:
            with np.load(path, allow_pickle=False) as arrays:
                size = sum(part.file_size for part in arrays.zip.infolist())
                if size > _LARGEST_NPZ:
                    raise ClipError(f"{path}: unfolds to {size / 1e9:.0f} GB, which no clip's keypoints do")
                value = dict(arrays)
        except _DAMAGE as error:
            raise ClipError(f"{path}: not a .npz file of numbers ({one_line(error)})") from error
    return value if isinstance(value, dict) else {"keypoints": value}


def _people_of(fields: Mapping[str, Any], path: Path) -> tuple[np.ndarray, bool]:
    """float64 (T, P, N, 2 to 4) points, and whether their third number is a score that stood apart.

    People who are not in a frame are NaN.
    """
    name = next((name for name in _POINTS_FIELDS if name in fields), None)
    if name is None:
        names = ", ".join(sorted(repr(key)[:20] for key in fields)[:8])
        raise ClipError(f"{path}: it holds {names or 'nothing'}, where keypoints are wanted")
    scores = next((fields[key] for key in _SCORE_FIELDS if key in fields), None)
    points = [_people(frame, 3, path) for frame in _sequence(fields[name], path)]
    if scores is not None:
        apart = [_people(frame, 2, path) for frame in _sequence(scores, path)]
        if [frame.shape[:2] for frame in apart] != [frame.shape[:2] for frame in points]:
            raise ClipError(f"{path}: keypoints and scores are not of the same frames, people and points")
        points = [
            np.concatenate([frame[..., :2], score[..., None]], axis=-1)
            for frame, score in zip(points, apart, strict=True)
        ]
    shapes = {frame.shape[1:] for frame in points if len(frame)}
    if len(shapes) != 1:
        raise ClipError(f"{path}: {'no people' if not shapes else 'people of different shapes'} in its frames")
    most = max(len(frame) for frame in points)
    people = np.full((len(points), most, *shapes.pop()), np.nan)
    for frame, there in zip(people, points, strict=True):
        frame[: len(there)] = there
    return people, scores is not None


def _sequence(frames: Any, path: Path) -> Iterable[Any]:
    if not isinstance(frames, list | tuple | np.ndarray) or not len(frames):
        raise ClipError(f"{path}: its keypoints are not a list of frames")
    return frames


def _people(frame: Any, dimensions: int, path: Path) -> np.ndarray:
    """The people of a frame, with the given number of dimensions: one person alone has one fewer."""
    if _numbers(frame, _MOST_PEOPLE * _MOST_NUMBERS) is None:
        raise ClipError(f"{path}: a frame is not a list of numbers, or is of more than {_MOST_PEOPLE} people")
    try:
        array = np.asarray(frame, np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise ClipError(f"{path}: a frame is not an array of numbers ({one_line(error)})") from error
    if array.size == 0:
        return np.zeros((0,) * dimensions)
    if array.ndim == dimensions - 1:
        array = array[None]
    if array.ndim != dimensions or (dimensions == 3 and not 2 <= array.shape[-1] <= 4):
        raise ClipError(f"{path}: a frame has the shape {array.shape}, where (people, points, 2 to 4) is wanted")
    return array


def _numbers(value: Any, most: int, depth: int = 0) -> int | None:
    """How many numbers are in nested lists; None where they are more, deeper than three, or no numbers.

    Lists that hold one list many times are small in a file, and not in memory.
    """
    if isinstance(value, np.ndarray):
        return value.size if value.size <= most and value.dtype.kind in "biuf" else None
    if isinstance(value, int | float):
        return 1
    if not isinstance(value, list | tuple) or depth > 2:
        return None
    count = 0
    for item in value:
        numbers = _numbers(item, most - count, depth + 1)
        if numbers is None or (count := count + max(numbers, 1)) > most:
            return None
    return count


def load(path: Path, kind: str) -> tuple[np.ndarray, bool]:
    """The (T, F), (T, N, k) or (T, P, N, k) numbers of a clip, and whether a third one is a score that stood apart.

    Raises:
        ClipError: the file is damaged, or holds no keypoints.
    """
    if kind == "npy":
        return _load_array(path), False
    if kind == NPY_FOLDER:
        return _load_folder(path), False
    return _people_of(_load_fields(path), path)


def load_points(path: Path, kind: str, layout: KeypointLayout) -> FileKeypoints:
    """The people of every frame in the points of a layout.

    Raises:
        ClipError: the file is damaged, or does not have that layout.
    """
    fields = _load_fields(path) if kind in ("npz", "pickle") else {}
    array, scored = _people_of(fields, path) if fields else load(path, kind)
    points = points_of(array, layout, scored)
    if points is None:
        raise ClipError(f"{path}: an array of {array.shape}, where {layout.title} has {layout.points} points")
    return FileKeypoints(points, size=_size_of(fields, points))


def points_of(array: np.ndarray, layout: KeypointLayout, scored: bool = False) -> np.ndarray | None:
    """(T, P, N, 3) x, y, score of numbers as `load` gives them; None where they do not have the layout."""
    if array.ndim == 2 and array.shape[1] == layout.numbers:
        return unflatten(np.asarray(array), layout)[:, None]
    if array.ndim not in (3, 4) or array.shape[-2] != layout.points or not 2 <= array.shape[-1] <= 4:
        return None
    points = with_scores(np.asarray(array, np.float64), layout, array[..., 2] if scored else None)
    return points if points.ndim == 4 else points[:, None]


def _size_of(fields: Mapping[str, Any], points: np.ndarray) -> tuple[int, int] | None:
    """Width and height that a file gives as `w_h`, the way round in which more of the (…, 3) points are in the picture.

    Uni-Sign's form has width and height; a public conversion of it has height and width.
    """
    try:
        one, other = (int(value) for value in fields["w_h"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    seen = points[points[..., 2] > 0][:, :2]
    ways = ((one, other), (other, one))
    return min(ways, key=lambda size: int((seen >= size).any(axis=1).sum())) if min(one, other) > 0 else None
