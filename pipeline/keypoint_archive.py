"""Keypoints and pose flow from released archives, read once as one stream.

An archive is `kp.tar.bz2` or `kpflow2.tar.bz2`, or its parts `….aa, .ab, …`, and holds one file per clip and frame.
Nothing is unpacked to disk, and only clips that are not whole yet are in memory.
"""

import io
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.body import POINTS
from pipeline.failure import ClipError
from pipeline.keypoints import keep_keypoints
from pipeline.ledger import DONE, FAILED, Row
from pipeline.openpose_json import FRAME_FILE, parse_frame, stack_frames
from pipeline.workspace import Workspace
from shards.errors import InputError
from shards.files import write_whole
from shards.sample import array_from_npy, npy_bytes

_SPLIT_PART = re.compile(r"\.([a-z]{2,}|\d{2,})$")
_BUFFER = 1 << 20
_CHUNK = 1 << 16  # decompressed at a time; where it is damaged, all of it is lost
_LARGEST = 1 << 20  # bytes; a frame's JSON has some 8,000


def archive_parts(first: Path) -> list[Path]:
    """The archive's files, in order: a single one, or all siblings of the first part of a split one.

    Raises:
        InputError: no such file, not the first part, or a part between is missing.
    """
    if not first.is_file():
        raise InputError(f"{first}: no such file")
    match = _SPLIT_PART.search(first.name)
    stem = first.name[: match.start()] if match else ""
    if ".tar." not in stem:  # a part is kp.tar.bz2.ab; kp.tar.gz is whole
        return [first]
    beginning = _suffix(0, match[1])
    if match[1] != beginning:
        raise InputError(f"{first}: not the first part; give {stem}.{beginning}")
    parts = sorted(path for path in first.parent.glob(f"{stem}.*") if len(path.suffix) == len(match[0]))
    names = [_suffix(number, match[1]) for number in range(len(parts))]
    if [path.suffix[1:] for path in parts] != names:
        missing = next(name for path, name in zip(parts, names, strict=True) if path.suffix[1:] != name)
        raise InputError(f"{first.parent / stem}.{missing}: this part of the archive is missing")
    return parts


def _suffix(number: int, first: str) -> str:
    """Part number 27 after `aa` is `bb`; after `00` it is `27`: how split(1) counts."""
    if first.isdigit():
        return str(number).zfill(len(first))
    letters = []
    for _ in first:
        number, letter = divmod(number, 26)
        letters.append(chr(ord("a") + letter))
    return "".join(reversed(letters))


class _Concatenated(io.RawIOBase):
    """Several files read as one."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = iter(paths)
        self._file: io.BufferedReader | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        while True:
            if self._file is None:
                path = next(self._paths, None)
                if path is None:
                    return 0
                self._file = path.open("rb")
            if count := self._file.readinto(buffer):
                return count
            self._file.close()
            self._file = None


def read_members(parts: list[Path]) -> Iterator[tuple[str, bytes]]:
    """(name, content) of every regular file of up to 1 MB in an archive, in its order.

    Raises:
        InputError: not a tar, or a member is a link, absolute or climbs with `..`: such an archive is not ours.
        EOFError: it ends too early; everything before that was given.
    """
    stream = io.BufferedReader(_Concatenated(parts), _BUFFER)
    started = False
    try:
        with tarfile.open(fileobj=stream, mode="r|*", bufsize=_CHUNK) as tar:
            while (member := tar.next()) is not None:
                started = True
                tar.members = []  # tarfile would keep all 2 million headers of AUTSL
                if not _is_harmless(member):
                    raise InputError(f"{parts[0]}: refused: its member {member.name!r} is a link or leaves its folder")
                if member.isreg() and member.size <= _LARGEST:
                    yield member.name, tar.extractfile(member).read()
    except (tarfile.ReadError, EOFError, OSError) as error:
        if not started:
            raise InputError(f"{parts[0]}: not a tar archive, or cut off at its very beginning ({error})") from error
        raise EOFError(f"{parts[-1]}: the archive ends too early or is damaged ({error})") from error


def _is_harmless(member: tarfile.TarInfo) -> bool:
    inside = not member.name.startswith("/") and ".." not in member.name.split("/")
    return inside and (member.isreg() or member.isdir())


@dataclass(frozen=True)
class Series:
    """What an archive holds of every clip: a folder with one file per frame."""

    what: str
    suffix: str  # of the folder
    file: re.Pattern[str]  # of the files; its group is the frame's number
    parse: Callable[[bytes, str], np.ndarray]  # of a file's content and name
    keep: Callable[[Mapping[int, np.ndarray], int, str, Workspace], dict[str, Any]]  # frames, their count, id: facts


def _keep_keypoints(
    frames: Mapping[int, np.ndarray], count: int, sample_id: str, workspace: Workspace
) -> dict[str, Any]:
    return keep_keypoints(stack_frames(frames, count, sample_id), sample_id, workspace)


def parse_flow(data: bytes, name: str) -> np.ndarray:
    """The pose flow (135, 2) from a frame to the next: angle in radians, magnitude in neck lengths.

    Raises:
        ClipError: not such an array.
    """
    try:
        flow = array_from_npy(data)
    except (ValueError, EOFError) as error:
        raise ClipError(f"{name}: not a .npy file ({error})") from error
    if flow.shape != (POINTS, 2) or flow.dtype.kind != "f" or not np.isfinite(flow).all():
        raise ClipError(f"{name}: not {POINTS}×2 finite numbers, but {flow.dtype} {flow.shape}")
    return flow


def _keep_flow(frames: Mapping[int, np.ndarray], count: int, sample_id: str, workspace: Workspace) -> dict[str, Any]:
    if sorted(frames) != list(range(count)):
        raise ClipError(f"pose flow of frames {min(frames)} to {max(frames)}, where 0 to {count - 1} are needed")
    flow = np.array([frames[number] for number in range(count)], np.float32).reshape(count, POINTS, 2)
    data = npy_bytes(flow)
    write_whole(workspace.poseflow(sample_id), data)
    return {"bytes": len(data)}


KEYPOINTS = Series("keypoints", ".kp", FRAME_FILE, parse_frame, _keep_keypoints)
POSE_FLOW = Series("pose flow", ".kpflow2", re.compile(r"/flow_(\d{5})\.npy$"), parse_flow, _keep_flow)


@dataclass
class _Clip:
    """A clip whose frames are coming in."""

    fingerprint: str
    count: int
    frames: dict[int, np.ndarray] = field(default_factory=dict)
    problem: str = ""


def import_archive(
    parts: list[Path], wanted: Mapping[str, tuple[str, int]], workspace: Workspace, series: Series = KEYPOINTS
) -> Iterator[Row]:
    """Bring the wanted clips (id: fingerprint and number of files) into the workspace, each as soon as it is whole.

    Clips that never get whole fail, with what was there of them.

    Raises:
        InputError: see `read_members`.
        OSError: the disk is full or read-only.
    """
    open_clips = {sample_id: _Clip(*value) for sample_id, value in wanted.items()}
    for sample_id in [key for key, clip in open_clips.items() if not clip.count]:  # a single frame has no flow
        yield _finish(series, sample_id, open_clips.pop(sample_id), parts[0], workspace)
    ending = ""
    try:
        for name, content in read_members(parts):
            folder = name.rpartition("/")[0].rpartition("/")[2]
            sample_id = folder.removesuffix(series.suffix).removesuffix("_color")
            frame = series.file.search(name)
            clip = open_clips.get(sample_id)
            if clip is None or frame is None:
                continue
            try:
                clip.frames[int(frame[1])] = series.parse(content, name)
            except ClipError as error:
                clip.problem = clip.problem or str(error)
                clip.frames[int(frame[1])] = np.zeros(0)
            if len(clip.frames) == clip.count:
                yield _finish(series, sample_id, open_clips.pop(sample_id), parts[0], workspace)
    except EOFError as error:
        ending = f"; {error}"
    for sample_id, clip in open_clips.items():
        reason = f"{parts[0]}: {series.what} of {len(clip.frames)} of {clip.count} frames{ending}"
        yield Row(sample_id, FAILED, clip.fingerprint, error=reason)


def _finish(series: Series, sample_id: str, clip: _Clip, source: Path, workspace: Workspace) -> Row:
    try:
        if clip.problem:
            raise ClipError(clip.problem)
        facts = series.keep(clip.frames, clip.count, sample_id, workspace)
    except ClipError as error:
        return Row(sample_id, FAILED, clip.fingerprint, error=f"{source}: {error}")
    written = facts.pop("bytes")
    return Row(sample_id, DONE, clip.fingerprint, bytes=written, facts=facts)
