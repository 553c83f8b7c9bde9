"""Keypoints from a released archive (`kp.tar.bz2`, or its parts `kp.tar.bz2.aa, .ab, …`), read once as one stream.

Nothing is unpacked to disk, and only clips that are not whole yet are in memory.
"""

import io
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.failure import ClipError
from pipeline.keypoints import keep_keypoints
from pipeline.ledger import DONE, FAILED, Row
from pipeline.openpose_json import FRAME_FILE, parse_frame, stack_frames
from pipeline.workspace import Workspace
from shards.errors import InputError

_SPLIT_PART = re.compile(r"\.([a-z]{2,}|\d{2,})$")
_BUFFER = 1 << 20


def archive_parts(first: Path) -> list[Path]:
    """The archive's files, in order: a single one, or all siblings of the first part of a split one.

    Raises:
        InputError: no such file, not the first part, or a part between is missing.
    """
    if not first.is_file():
        raise InputError(f"{first}: no such file")
    match = _SPLIT_PART.search(first.name)
    if not match or set(match[1]) - {"a", "0"}:
        if match and _SPLIT_PART.search(first.name[: match.start()] + ".aa") and ".tar." in first.name[: match.start()]:
            raise InputError(f"{first}: not the first part; give {first.name[: match.start()]}.{'a' * len(match[1])}")
        return [first]
    stem = first.name[: match.start()]
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
    """(name, content) of every regular file in an archive, in its order.

    Raises:
        InputError: not a tar, or a member is a link, absolute or climbs with `..`: such an archive is not ours.
        EOFError: it ends too early; everything before that was given.
    """
    stream = io.BufferedReader(_Concatenated(parts), _BUFFER)
    try:
        with tarfile.open(fileobj=stream, mode="r|*", bufsize=_BUFFER) as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # tarfile would keep all 2 million headers of AUTSL
                if (
                    member.name.startswith("/")
                    or ".." in member.name.split("/")
                    or not (member.isreg() or member.isdir())
                ):
                    raise InputError(
                        f"{parts[0]}: refused, since its member {member.name!r} is a link or leaves its folder"
                    )
                if member.isreg():
                    yield member.name, tar.extractfile(member).read()
    except (tarfile.ReadError, EOFError, OSError) as error:
        if isinstance(error, tarfile.ReadError) and "could not be opened" in str(error):
            raise InputError(f"{parts[0]}: not a tar archive, plain or compressed") from error
        raise EOFError(f"{parts[-1]}: the archive ends too early or is damaged ({error})") from error


@dataclass
class _Clip:
    """A clip whose frames are coming in."""

    fingerprint: str
    count: int
    frames: dict[int, np.ndarray] = field(default_factory=dict)
    problem: str = ""


def import_archive(parts: list[Path], wanted: Mapping[str, tuple[str, int]], workspace: Workspace) -> Iterator[Row]:
    """Keypoints of the wanted clips (id: fingerprint and number of frames), each as soon as it is whole.

    Clips that never get whole fail, with what was there of them.

    Raises:
        InputError: see `read_members`.
    """
    open_clips = {sample_id: _Clip(*value) for sample_id, value in wanted.items()}
    ending = ""
    try:
        for name, content in read_members(parts):
            sample_id = name.rpartition("/")[0].rpartition("/")[2].removesuffix(".kp").removesuffix("_color")
            frame = FRAME_FILE.search(name)
            clip = open_clips.get(sample_id)
            if clip is None or frame is None:
                continue
            try:
                clip.frames[int(frame[1])] = parse_frame(content, name)
            except ClipError as error:
                clip.problem = clip.problem or str(error)
                clip.frames[int(frame[1])] = np.zeros((0, 3))
            if len(clip.frames) == clip.count:
                yield _finish(sample_id, open_clips.pop(sample_id), str(parts[0]), workspace)
    except EOFError as error:
        ending = f"; {error}"
    for sample_id, clip in open_clips.items():
        reason = f"{parts[0]}: keypoints of {len(clip.frames)} of {clip.count} frames{ending}"
        yield Row(sample_id, FAILED, clip.fingerprint, error=reason)


def _finish(sample_id: str, clip: _Clip, source: str, workspace: Workspace) -> Row:
    try:
        if clip.problem:
            raise ClipError(clip.problem)
        facts = keep_keypoints(stack_frames(clip.frames, clip.count, f"{source}: {sample_id}"), sample_id, workspace)
    except (ClipError, OSError) as error:
        return Row(sample_id, FAILED, clip.fingerprint, error=str(error))
    written = facts.pop("bytes")
    return Row(sample_id, DONE, clip.fingerprint, bytes=written, facts=facts)
