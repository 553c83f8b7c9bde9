"""Keypoints and pose flow from released archives, read once as one stream.

An archive is `kp.tar.bz2` or `kpflow2.tar.bz2`, or its parts `….aa, .ab, …`, and holds one file per clip and frame.
Nothing is unpacked to disk, and only clips that are not whole yet are in memory.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.errors import ClipError
from pipeline.pose.archive import read_members
from pipeline.pose.openpose_json import FRAME_FILE, parse_frame, stack_frames
from shards.body135 import POINTS
from shards.format.sample import array_from_npy


@dataclass(frozen=True)
class Series:
    """What an archive holds of every clip: a folder with one file per frame."""

    what: str
    suffix: str  # of the folder
    file: re.Pattern[str]  # of the files; its group is the frame's number
    parse: Callable[[bytes, str], np.ndarray]  # of a file's content and name
    stack: Callable[[Mapping[int, np.ndarray], int, str], np.ndarray]  # of all frames, their number, and the clip's id


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


def _stack_flow(flows: Mapping[int, np.ndarray], count: int, source: str) -> np.ndarray:
    """The pose flow of a clip, float32 (count, 135, 2)."""
    if sorted(flows) != list(range(count)):
        there = f"{min(flows)} to {max(flows)}"
        raise ClipError(f"{source}: pose flow of frames {there}, where 0 to {count - 1} are needed")
    return np.array([flows[number] for number in range(count)], np.float32).reshape(count, POINTS, 2)


KEYPOINTS = Series("keypoints", ".kp", FRAME_FILE, parse_frame, stack_frames)
POSE_FLOW = Series("pose flow", ".kpflow2", re.compile(r"/flow_(\d{5})\.npy$"), parse_flow, _stack_flow)


@dataclass
class _Incoming:
    """A clip whose frames are coming in."""

    count: int
    frames: dict[int, np.ndarray] = field(default_factory=dict)
    problem: str = ""

    def add(self, number: int, series: Series, content: bytes, name: str) -> None:
        if number in self.frames:
            self.problem = self.problem or f"{name}: frame {number} is there twice; remove one"
        try:
            self.frames[number] = series.parse(content, name)
        except ClipError as error:
            self.problem = self.problem or str(error)
            self.frames[number] = np.zeros(0)


def import_archive(
    parts: Sequence[Path], wanted: Mapping[str, int], series: Series
) -> Iterator[tuple[str, np.ndarray | ClipError]]:
    """The arrays of the wanted clips (id: number of files), each as soon as it is whole, or why there is none.

    A folder is `<id>` or, where no wanted clip has that very id, `<id>_color`. A clip is whole when its folder ends.
    Clips that never get whole fail, with what was there of them, and so do those with a frame twice; a clip whose
    folder comes again later, as after `tar --append`, is given a second time, as failed.

    Raises:
        InputError: see `archive.read_members`.
    """
    incoming = {sample_id: _Incoming(count) for sample_id, count in wanted.items()}
    for sample_id in [key for key, clip in incoming.items() if not clip.count]:  # a single frame has no flow
        yield _finish(series, sample_id, incoming.pop(sample_id), parts[0])
    whole = ending = ""
    given: set[str] = set()
    try:
        for name, content in read_members(parts):
            folder = name.rpartition("/")[0].rpartition("/")[2]
            sample_id = folder.removesuffix(series.suffix)
            if sample_id not in wanted:
                sample_id = sample_id.removesuffix("_color")
            if whole and sample_id != whole:  # not before: a frame too many may follow
                yield _finish(series, whole, incoming.pop(whole), parts[0])
                given.add(whole)
                whole = ""
            frame, clip = series.file.search(name), incoming.get(sample_id)
            if frame and sample_id in given:
                given.remove(sample_id)
                yield sample_id, ClipError(f"{parts[0]}: {series.what} of {sample_id} are there twice; remove one")
            if clip and frame:
                clip.add(int(frame[1]), series, content, name)
                whole = sample_id if len(clip.frames) == clip.count else whole
    except EOFError as error:
        ending = f"; {error}"
    if whole:
        yield _finish(series, whole, incoming.pop(whole), parts[0])
    for sample_id, clip in incoming.items():
        yield sample_id, ClipError(f"{parts[0]}: {series.what} of {len(clip.frames)} of {clip.count} frames{ending}")


def _finish(series: Series, sample_id: str, clip: _Incoming, source: Path) -> tuple[str, np.ndarray | ClipError]:
    if clip.problem:
        return sample_id, ClipError(f"{source}: {clip.problem}")
    try:
        return sample_id, series.stack(clip.frames, clip.count, sample_id)
    except ClipError as error:
        return sample_id, ClipError(f"{source}: {error}")
