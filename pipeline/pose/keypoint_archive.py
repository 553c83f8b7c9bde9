"""Keypoints and pose flow from released archives, read once as one stream.

An archive is `kp.tar.bz2` or `kpflow2.tar.bz2`, or its parts `….aa, .ab, …`, and holds one file per clip and frame.
Nothing is unpacked to disk, and only clips that are not whole yet are in memory.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ClipError
from pipeline.pose.archive import read_members
from pipeline.pose.openpose_json import FRAME_FILE, parse_frame, stack_frames
from pipeline.stages.keypoints import keep_keypoints
from pipeline.workspace.paths import Workspace
from pipeline.workspace.row import DONE, FAILED, Row
from shards.body135 import POINTS
from shards.files import write_whole
from shards.format.sample import array_from_npy, npy_bytes


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

    A clip is kept when its folder ends. Clips that never get whole fail, with what was there of them.

    Raises:
        InputError: see `archive.read_members`.
        OSError: the disk is full or read-only.
    """
    open_clips = {sample_id: _Clip(*value) for sample_id, value in wanted.items()}
    for sample_id in [key for key, clip in open_clips.items() if not clip.count]:  # a single frame has no flow
        yield _finish(series, sample_id, open_clips.pop(sample_id), parts[0], workspace)
    whole = ending = ""
    try:
        for name, content in read_members(parts):
            folder = name.rpartition("/")[0].rpartition("/")[2]
            sample_id = folder.removesuffix(series.suffix).removesuffix("_color")
            if whole and sample_id != whole:  # not before: a frame too many may follow
                yield _finish(series, whole, open_clips.pop(whole), parts[0], workspace)
                whole = ""
                if not open_clips:
                    break  # a few clips of a large archive
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
                whole = sample_id
    except EOFError as error:
        ending = f"; {error}"
    if whole:
        yield _finish(series, whole, open_clips.pop(whole), parts[0], workspace)
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
