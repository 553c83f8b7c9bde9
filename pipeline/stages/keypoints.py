"""Stage `keypoints`: the pose of every frame, from an estimator, from folders of JSON, or from an archive."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ClipError
from pipeline.pose.estimators import Estimator
from pipeline.pose.keypoint_archive import KEYPOINTS, import_archive
from pipeline.pose.openpose_json import read_folder, read_own
from pipeline.pose.source import KeypointSource
from pipeline.stages.stage import Stage
from pipeline.workers.local import Engine, Work, end_workers
from pipeline.workspace.clip import Clip
from pipeline.workspace.fingerprint import stamp_keypoints
from pipeline.workspace.result import result_file, write_result
from pipeline.workspace.row import Made, Row
from shards.format.sample import npy_bytes


@dataclass(frozen=True)
class Keypoints(Stage):
    """Depends on the color video and on the source of keypoints; for imports on every file that is read.

    A clip that has keypoints of its own is imported from there, whatever the source of the run.
    """

    name = "keypoints"
    version = 1
    suffix = ".npy"

    source: KeypointSource

    def depends(self, clip: Clip) -> list[Any]:
        """See the class."""
        if clip.sample.keypoints:
            return [clip.color, "own", stamp_keypoints(clip.sample.keypoints)]
        return [clip.color, self.source.version, stamp_keypoints((self.source.folders or {}).get(clip.id))]

    def work(self, clip: Clip, number: int) -> Work:
        """See `Stage`."""
        frames, path = clip.video.frames, self.result(clip.id)
        if clip.sample.keypoints:
            return partial(_import_own, clip.sample.keypoints, frames, path)
        if self.source.estimator and clip.sample.color:
            return partial(_estimate, self.source.estimator, clip.sample.color, frames, number, path)
        folder = (self.source.folders or {}).get(clip.id)
        return partial(_import_folder, folder, f"{self.source.root}: no folder {clip.id}_color.kp in it", frames, path)

    def make(self, clips: Sequence[Clip], run: Engine) -> Iterator[Row]:
        """See `Stage`; an archive is read once, as one stream."""
        from_archive = [clip for clip in clips if self._is_in_archive(clip)]
        if len(from_archive) < len(clips):
            yield from super().make([clip for clip in clips if not self._is_in_archive(clip)], run)
        if from_archive:
            wanted = {clip.id: clip.video.frames for clip in from_archive}
            arrays = import_archive(self.source.archive, wanted, KEYPOINTS)
            yield from self.rows_of(from_archive, arrays, keep_keypoints)
        if self.source.estimator:
            end_workers()  # an estimator that stays up between clips would keep its memory for the rest of the run

    def found(self, clip: Clip, row: Row) -> None:
        """See `Stage`."""
        clip.keypoints = result_file(row)

    def _is_in_archive(self, clip: Clip) -> bool:
        return bool(self.source.archive) and not clip.sample.keypoints


def _estimate(estimator: Estimator, color: str, frames: int, number: int, path: Path) -> Made:
    return keep_keypoints(estimator.estimate(color, frames, number), path)


def _import_folder(folder: str | None, absent: str, frames: int, path: Path) -> Made:
    if folder is None:
        raise ClipError(absent)
    return keep_keypoints(read_folder(Path(folder), frames), path)


def _import_own(source: str, frames: int, path: Path) -> Made:
    keypoints = read_own(source)
    if len(keypoints) != frames:
        raise ClipError(f"{source}: keypoints of {len(keypoints)} frames for a video of {frames}")
    return keep_keypoints(keypoints, path)


def keep_keypoints(keypoints: np.ndarray, path: Path) -> Made:
    """Write float32 (T, 135, 3) keypoints; the facts say in how many frames there is a person."""
    seen = int(keypoints[..., :2].any(axis=(1, 2)).sum())
    return write_result(path, npy_bytes(keypoints.astype(np.float32)), {"frames_with_person": seen})
