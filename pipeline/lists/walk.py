"""Which files and folders below a folder are clips."""

# Strings, not Paths: a data set has some 100,000 files.
# ruff: noqa: PTH122

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.pose.layouts.keypoint_files import KINDS, is_frame
from pipeline.video.recording import PICTURES
from pipeline.workspace.clip import VIDEO_SUFFIXES
from shards.labels import plain_id

_KNOWN = VIDEO_SUFFIXES | {*PICTURES, *KINDS, ".kp"}
_FRAME_NUMBER = re.compile(r"^(.*?)\d+$", re.DOTALL)
_FRAME_JSON = re.compile(r"^(.*?)\d+_keypoints$", re.DOTALL)


@dataclass(frozen=True)
class FoundClip:
    """A clip below a root."""

    path: str  # relative to the root, with "/", as on the disk
    kind: str  # "video", "pictures" (a folder of numbered ones) or "keypoints" (a file, or a folder of frames)

    @property
    def stem(self) -> str:
        """The path without the suffix of a file."""
        return self.path if self.kind == "pictures" else stem_of(self.path)


def stem_of(name: str) -> str:
    """A name without its suffix, if that is one of a video, a picture or keypoints, and in Unicode's form NFC."""
    stem, suffix = os.path.splitext(name)
    return plain_id(stem if suffix.lower() in _KNOWN else name)


def is_hidden(name: str) -> bool:
    """Whether a file is not the user's: `._a.mp4` and `__MACOSX` of macOS, `Thumbs.db` of Windows."""
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini")


def walk(root: Path) -> tuple[list[FoundClip], list[str]]:
    """The clips below a folder, and the other files, in the order of their paths; links to folders are followed."""
    clips: list[FoundClip] = []
    others: list[str] = []
    for folder, names in _folders(root, "", set()):
        below = f"{folder}/" if folder else ""
        kind = _kind_of_folder(root / folder, names) if folder else None
        if kind:
            clips.append(FoundClip(folder, kind))
            continue
        for name in names:
            suffix = os.path.splitext(name)[1].lower()
            if suffix in VIDEO_SUFFIXES or suffix in KINDS:
                clips.append(FoundClip(below + name, "keypoints" if suffix in KINDS else "video"))
            else:
                others.append(below + name)
    return sorted(clips, key=lambda clip: clip.path), sorted(others)


def _folders(root: Path, folder: str, visited: set[str]) -> Iterator[tuple[str, list[str]]]:
    """(relative path, names of the files in it) of a folder and all below it."""
    real = os.path.realpath(root / folder)
    if real in visited:  # a link that leads back
        return
    visited.add(real)
    files: list[str] = []
    folders: list[str] = []
    for entry in os.scandir(root / folder):
        if not is_hidden(entry.name):
            (folders if entry.is_dir() else files).append(entry.name)
    yield folder, sorted(files)
    for name in sorted(folders):
        yield from _folders(root, f"{folder}/{name}" if folder else name, visited)


def _kind_of_folder(path: Path, names: list[str]) -> str | None:
    """What a folder with these files is when it is a clip: frames of one name, numbered; None when it is not."""
    by_suffix: dict[str, list[str]] = {}
    for name in names:
        stem, suffix = os.path.splitext(name)
        by_suffix.setdefault(suffix.lower(), []).append(stem)
    if by_suffix.keys() & VIDEO_SUFFIXES:
        return None
    pictures = [stem for suffix, stems in by_suffix.items() if suffix in PICTURES for stem in stems]
    if _of_one_name(pictures, _FRAME_NUMBER):
        return "pictures"
    if _of_one_name(by_suffix.get(".json", []), _FRAME_JSON):
        return "keypoints"
    arrays = by_suffix.get(".npy", [])
    if _of_one_name(arrays, _FRAME_NUMBER) and is_frame(path / next(n for n in names if n.lower().endswith(".npy"))):
        return "keypoints"
    return None


def _of_one_name(stems: list[str], pattern: re.Pattern[str]) -> bool:
    """Whether there are stems, all numbered and alike but for the number."""
    matches = [pattern.match(stem) for stem in stems]
    return bool(matches) and None not in matches and len({match[1] for match in matches if match}) == 1
