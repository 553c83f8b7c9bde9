"""Which layout the keypoints of a clip have, and which file or folder belongs to which sample."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from pipeline.errors import ClipError
from pipeline.pose.layouts import arrays, dot_pose, gislr, openpose
from pipeline.pose.layouts.arrays import points_of
from pipeline.pose.layouts.keypoint_files import JSON_FOLDER, KINDS, kind_of, read_file
from pipeline.pose.layouts.layout import BODY, FACE, LEFT_HAND, RIGHT_HAND, KeypointLayout
from pipeline.pose.layouts.point_tables import LAYOUTS, READABLE
from pipeline.workspace.clip import VIDEO_SUFFIXES
from shards.errors import InputError
from shards.labels import plain_id

# Layouts of one point after the other, by their number of points, and of one long row, by its length.
BY_POINTS = {135: "body135", 133: "wholebody133", 553: "mediapipe553", 75: "mediapipe75"}
IN_543 = ("mediapipe543", "asl-citizen", "gislr")
_FLAT = ("mediapipe1662", "mediapipe1692", "mediapipe258", "mediapipe226", "mediapipe1629", "mediapipe225")
BY_NUMBERS = {LAYOUTS[name].numbers: name for name in _FLAT}
REFUSED = {
    17: "COCO's 17 points: a body without hands",
    18: "COCO-18: a body without hands",
    21: "21 points: one hand without a body",
    25: "25 points: a body without hands",
    33: "33 points: a body without hands",
    468: "468 points: a face without a body",
    63: "63 numbers a frame: one hand without a body",
    126: "126 numbers a frame: two hands without a body",
    132: "132 numbers a frame: a body without hands",
}
_LARGEST_JSON = 1 << 28  # bytes
_AGREES = 0.5  # shoulder widths between a hand's wrist and the body's


def find_layout(path: Path, name: str | None = None) -> KeypointLayout:
    """The layout of a clip's keypoints, a file or a folder of frames, by looking, or the one that was named.

    Raises:
        InputError: no such layout or file, keypoints that cannot be used, with the list of what can, or ones that are
            not of the layout that was named.
        ClipError: the file is damaged.
    """
    if name is not None and name not in LAYOUTS:
        raise InputError(f"{name}: no such keypoint layout; there are {', '.join(LAYOUTS)}")
    if not path.exists():
        raise InputError(f"{path}: no such file or folder of keypoints")
    found = _look(path, name)
    if isinstance(found, str):
        raise InputError(f"{path}: {found}. What can be read: {READABLE}")
    if name is not None and found.name != name:
        raise InputError(f"{path}: it is {found.title}, not {name}; leave --keypoint-layout out, or name {found.name}")
    return found


def _look(path: Path, name: str | None) -> KeypointLayout | str:
    kind = kind_of(path)
    if kind == JSON_FOLDER:
        return openpose.look(path, name)
    if kind == "pose":
        return dot_pose.look(path)
    if kind == "parquet":
        return gislr.look(path)
    if kind is not None:
        return _look_at_array(arrays.load(path, kind)[0], name)
    if path.is_dir():
        return "a folder without <frame>_keypoints.json and without <frame>.npy of one frame each"
    return _of_json(path) if path.suffix.lower() == ".json" else "not a kind of file that holds keypoints"


def _look_at_array(array: np.ndarray, named: str | None) -> KeypointLayout | str:
    """The layout of (T, F), (T, N, k) or (T, P, N, k) numbers, or why they cannot be used.

    `named` is believed where shapes leave it open.
    """
    if array.ndim == 2:
        size = array.shape[1]
        name = BY_NUMBERS.get(size)
    elif array.ndim == 4 and array.shape[0] < array.shape[1]:
        return f"an array of {array.shape}: more people than frames, which are to come first"
    elif array.ndim in (3, 4) and 2 <= array.shape[-1] <= 4:
        size = array.shape[-2]
        name = BY_POINTS.get(size)
        if size == 543:
            return LAYOUTS[named] if named in IN_543 else _which_of_543(array)
    else:
        return f"an array of {array.shape}, where (frames, numbers) or (frames, points, 2 to 4) is wanted"
    if name is None:
        return REFUSED.get(size, f"an array of {array.shape}, whose {size} are no layout's number of points or numbers")
    if name == "mediapipe226" and not _disagreement(array, LAYOUTS[name]) < _AGREES:
        return "226 numbers a frame, in which the hands are not at the wrists of 25 points of a body"
    return LAYOUTS[name]


def _which_of_543(array: np.ndarray) -> KeypointLayout | str:
    """The order of the parts of (T, …, 543, k): the one in which wrists and nose are where hands and face have them."""
    costs = {name: _disagreement(array, LAYOUTS[name]) for name in IN_543}
    best, second, *_ = sorted(costs, key=costs.__getitem__)
    if costs[best] < _AGREES and costs[best] < costs[second] / 2:
        return LAYOUTS[best]
    return f"543 points, in none of the orders {', '.join(IN_543)} that can be told; name it with --keypoint-layout"


def _disagreement(array: np.ndarray, layout: KeypointLayout) -> float:
    """How far the hands lie from the wrists and the face from the nose, in shoulder widths; median of frames, mean."""
    found = points_of(array, layout)
    if found is None:
        return np.inf
    points = found.reshape(-1, layout.points, 3)
    starts = {part.name: start for part, start in layout.placed()}
    body = starts[BODY]
    width = np.linalg.norm(points[:, body + 11, :2] - points[:, body + 12, :2], axis=1)
    distances = []
    pairs = [(body + 15, starts[LEFT_HAND]), (body + 16, starts[RIGHT_HAND])]  # wrists
    pairs += [(body, starts[FACE] + 1)] if FACE in starts else []  # nose, and its tip
    for one, other in pairs:
        seen = (points[:, [body + 11, body + 12, one, other], 2] > 0).all(axis=1) & (width > 0)
        if seen.any():
            apart = np.linalg.norm(points[seen, one, :2] - points[seen, other, :2], axis=1)
            distances.append(float(np.median(apart / width[seen])))
    return float(np.mean(distances)) if distances else np.inf


def _of_json(path: Path) -> str:
    """What a JSON file is that is not one of OpenPose's frames: mmpose writes one for a whole video."""
    try:
        value = orjson.loads(read_file(path, _LARGEST_JSON))
        frames: Any = value.get("instance_info", []) if isinstance(value, dict) else value
        people = frames[0].get("instances", frames) if isinstance(frames[0], dict) else []
        return f"mmpose's JSON, which is not read; it has {len(people[0]['keypoints'])} points"
    except (ClipError, ValueError, LookupError, TypeError, AttributeError):
        return "a JSON file alone; of OpenPose's, give the folder with one for each frame"


def find_keypoints(root: Path, ids: Collection[str]) -> dict[str, Path]:
    """The file or folder of keypoints of each of the `ids` that has one below a folder.

    `<id>` or `<id>_color`, the latter where no other sample has that very id, with the suffix of a layout's file (a
    video's, as in `<id>_color.mp4.npy`, may stand before it), or as a folder of frames with or without `.kp`. Where no
    name is an id, its path below the root is looked at, `a/b.npy` for `a_b`. An id has `_` where a name has a dot,
    and names are compared in Unicode's composed form. Links are followed, once.

    Raises:
        InputError: two for one id.
    """
    wanted = set(ids)
    by_name: dict[str, dict[str, Path]] = {}
    by_path: dict[str, dict[str, Path]] = {}
    for path in _candidates(root):
        real, name = os.path.realpath(path), _id_of(path.name)
        below = [_legal(part) for part in path.relative_to(root).parts[:-1]]
        by_name.setdefault(name, {}).setdefault(real, path)
        by_path.setdefault("_".join([*below, name]), {}).setdefault(real, path)
    found: dict[str, Path] = {}
    for sample_id in wanted:
        names = [plain_id(sample_id)]
        if f"{sample_id}_color" not in wanted:
            names.append(f"{names[0]}_color")
        paths = _of(names, by_name) or _of(names, by_path)
        if len(paths) > 1:
            raise InputError(f"{paths[0]} and {paths[1]}: both are keypoints of {sample_id}; remove one")
        if paths:
            found[sample_id] = paths[0]
    return found


def _of(names: list[str], index: dict[str, dict[str, Path]]) -> list[Path]:
    return sorted({real: path for name in names for real, path in index.get(name, {}).items()}.values())


def _candidates(root: Path) -> Iterator[Path]:
    """Files of keypoints and folders of frames below a folder; nothing inside of the latter."""
    seen: set[str] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link led back
            folders.clear()
            continue
        seen.add(real)
        frames = [name for name in folders if name.endswith(".kp") or kind_of(Path(folder, name))]
        folders[:] = [name for name in folders if name not in frames]
        for name in frames + [name for name in files if Path(name).suffix.lower() in KINDS and name[0] != "."]:
            yield Path(folder, name)


def _id_of(name: str) -> str:
    """The id that a file's or folder's name gives."""
    for suffixes in ((*KINDS, ".kp"), VIDEO_SUFFIXES):
        stem, dot, suffix = name.rpartition(".")
        if stem and f"{dot}{suffix}".lower() in suffixes:
            name = stem
    return _legal(name)


def _legal(name: str) -> str:
    return plain_id(name).replace(".", "_")
