"""Which layout the keypoints of a clip have, and which file or folder belongs to which sample."""

import os
import unicodedata
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import orjson

from pipeline.pose.layouts import arrays, dot_pose, gislr, openpose
from pipeline.pose.layouts.files import JSON_FOLDER, KINDS, kind_of
from pipeline.pose.layouts.layout import Layout
from pipeline.pose.layouts.tables import LAYOUTS, READABLE
from shards.errors import InputError

_VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm")


def find_layout(path: Path, name: str | None = None) -> Layout:
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


def _look(path: Path, name: str | None) -> Layout | str:
    kind = kind_of(path)
    if kind == JSON_FOLDER:
        return openpose.look(path, name)
    if kind == "pose":
        return dot_pose.look(path)
    if kind == "parquet":
        return gislr.look(path)
    if kind is not None:
        return arrays.look(arrays.load(path, kind)[0], name)
    if path.is_dir():
        return "a folder without <frame>_keypoints.json and without <frame>.npy of one frame each"
    return _of_json(path) if path.suffix.lower() == ".json" else "not a kind of file that holds keypoints"


def _of_json(path: Path) -> str:
    """What a JSON file is that is not one of OpenPose's frames: mmpose writes one for a whole video."""
    try:
        value = orjson.loads(path.read_bytes())
        frames: Any = value.get("instance_info", []) if isinstance(value, dict) else value
        people = frames[0].get("instances", frames) if isinstance(frames[0], dict) else []
        return f"mmpose's JSON, which is not read; it has {len(people[0]['keypoints'])} points"
    except (ValueError, LookupError, TypeError, AttributeError):
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
        names = [unicodedata.normalize("NFC", sample_id)]
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
    for suffixes in ((*KINDS, ".kp"), _VIDEO_SUFFIXES):
        stem, dot, suffix = name.rpartition(".")
        if stem and f"{dot}{suffix}".lower() in suffixes:
            name = stem
    return _legal(name)


def _legal(name: str) -> str:
    return unicodedata.normalize("NFC", name).replace(".", "_")
