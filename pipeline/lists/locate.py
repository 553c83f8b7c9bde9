"""Where the clips of a list are on the disk, and which seconds of a longer video they are."""

# Strings, not Paths: a data set has some 100,000 files.
# ruff: noqa: PTH112, PTH118, PTH120, PTH122, PTH208

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import ClipError
from pipeline.lists.ids import spelling_key
from pipeline.lists.record import Record
from pipeline.lists.walk import is_hidden, stem_of
from pipeline.pose.layouts.keypoint_files import KINDS
from pipeline.video.probe import Video, probe
from pipeline.video.program import ffmpeg_binary
from pipeline.video.recording import PICTURES, Recording
from pipeline.workspace.clip import VIDEO_SUFFIXES


@dataclass(frozen=True)
class Located:
    """A record and its files; of a missing clip the paths are those where it should be."""

    record: Record
    color: Path | None
    depth: Path | None
    keypoints: Path | None
    missing: bool
    start: float | None  # seconds
    end: float | None

    @property
    def has_time(self) -> bool:
        """Whether the clip ends after it begins, as far as is known."""
        return self.end is None or self.end > (self.start or 0)


class Finder:
    """Finds clips below some folders: suffixes in any case or another one of a video, names in any Unicode form.

    Each folder is listed once.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = [str(root.absolute()) for root in roots]
        self._listings: dict[str, dict[str, list[str]]] = {}
        self._used: set[str] = set()

    def find(self, paths: Sequence[str], keypoints: bool = False) -> Path | None:
        """The first of some paths of a video (or of keypoints) that is there below one of the roots; None: none is."""
        for path in paths:
            for root in self._roots:
                folder, name = os.path.split(os.path.join(root, path))
                found = self._in_folder(folder, name, keypoints)
                if found:
                    self._used.add(found)
                    return Path(found)
        return None

    def place(self, paths: Sequence[str]) -> Path:
        """Where a clip that is not there should be."""
        return Path(self._roots[0], paths[0])

    def unused(self) -> list[str]:
        """The videos in the folders in which clips were found that no record names."""
        folders = {os.path.dirname(path) for path in self._used}
        names = [
            f"{folder}/{name}" for folder in folders for entry in self._listings[folder].values() for name in entry
        ]
        return sorted({name for name in names if os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES} - self._used)

    def _in_folder(self, folder: str, name: str, keypoints: bool) -> str | None:
        listed = self._folder(folder)
        if listed is None:
            return None
        names = self._listing(listed).get(spelling_key(stem_of(name)), [])
        for candidate in sorted(names, key=lambda one: (one != name, spelling_key(one) != spelling_key(name), one)):
            path = f"{listed}/{candidate}"
            if _is_clip(path, keypoints, candidate == name):
                return path
        return None

    def _folder(self, path: str) -> str | None:
        """A folder as it is on the disk, of which the Unicode form or the case may be another; None: not there."""
        if path in self._listings or os.path.isdir(path):
            return path
        above, name = os.path.split(path)
        listed = self._folder(above) if above != path else None
        if listed is None:
            return None
        entries = self._listing(listed).get(spelling_key(stem_of(name)), [])
        folders = [f"{listed}/{entry}" for entry in entries if os.path.isdir(f"{listed}/{entry}")]
        return folders[0] if folders else None

    def _listing(self, folder: str) -> dict[str, list[str]]:
        """The names in a folder by stem; a video that yt-dlp named `Title [id].mp4` also by its id."""
        if folder not in self._listings:
            listing: dict[str, list[str]] = {}
            for name in sorted(os.listdir(folder)):
                if not is_hidden(name):
                    stem = stem_of(name)
                    listing.setdefault(spelling_key(stem), []).append(name)
                    if stem.endswith("]") and "[" in stem:
                        listing.setdefault(spelling_key(stem[stem.rindex("[") + 1 : -1]), []).append(name)
            self._listings[folder] = listing
        return self._listings[folder]


def _is_clip(path: str, keypoints: bool, is_name: bool) -> bool:
    """Whether a path is a video or a folder with pictures; or else keypoints: a file, or a folder of the very name."""
    suffix = os.path.splitext(path)[1].lower()
    if keypoints:
        return suffix in KINDS or is_name
    if not os.path.isdir(path):
        return suffix in VIDEO_SUFFIXES
    with os.scandir(path) as entries:
        return any(os.path.splitext(entry.name)[1].lower() in PICTURES for entry in entries)


@dataclass
class Ranges:
    """How the frames that a list names became seconds, to be told."""

    cut: list[str] = field(default_factory=list)  # videos that hold the named frames alone
    unfit: list[str] = field(default_factory=list)  # too short for the named frames, and of another length
    guessed: list[str] = field(default_factory=list)  # of which only the list's own rate is known
    unknown: list[str] = field(default_factory=list)  # of which no rate is known: the clip is left out


def locate(records: Sequence[Record], finder: Finder) -> tuple[list[Located], Ranges]:
    """Every record with its files and seconds, in the order of the records."""
    colors = [finder.find(record.color) if record.color else None for record in records]
    asked = [color for color, record in zip(colors, records, strict=True) if color and record.frames]
    videos = _probe_all(sorted(set(asked)))
    ranges = Ranges()
    pairs = zip(records, colors, strict=True)
    located = [_locate(record, color, finder, videos, ranges) for record, color in pairs]
    unknown = set(ranges.unknown)
    return [one for one in located if one.record.name not in unknown], ranges


def _locate(
    record: Record, color: Path | None, finder: Finder, videos: dict[Path, Video | None], ranges: Ranges
) -> Located:
    keypoints = finder.find([record.keypoints], keypoints=True) if record.keypoints else None
    missing = bool(record.color and not color) or bool(record.keypoints and not keypoints)
    if record.color and not color:
        color = finder.place(record.color)
    if record.keypoints and not keypoints:
        keypoints = finder.place([record.keypoints])
    depth = finder.find([record.depth]) if record.depth else None
    start, end = record.start, record.end
    if record.frames:
        video = videos.get(color) if color else None
        start, end = seconds_of(record, video, str(color), ranges)
    return Located(record, color, depth, keypoints, missing, start, end)


def seconds_of(record: Record, video: Video | None, path: str, ranges: Ranges) -> tuple[float | None, float | None]:
    """Start and end in seconds of the frames that a record names; (None, None) where the video holds them alone.

    The rate is the video's own: lists have wrong ones.
    """
    first, end = record.frames or (0, None)
    if video is None:
        (ranges.guessed if record.fps else ranges.unknown).append(record.name)
        return (first / record.fps, end and end / record.fps) if record.fps else (None, None)
    if end is not None and video.frames < end:
        length = end - first
        (ranges.cut if abs(video.frames - length) <= max(2, length / 20) else ranges.unfit).append(path)
        return None, None
    return first / video.fps, end and end / video.fps


def _probe_all(paths: Sequence[Path]) -> dict[Path, Video | None]:
    binary = ffmpeg_binary() if paths else ""

    def probed(path: Path) -> Video | None:
        try:
            return probe([Recording(str(path))], binary)[0]
        except ClipError:  # `pipeline run` will say what is wrong with it
            return None

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return dict(zip(paths, pool.map(probed, paths), strict=True))
