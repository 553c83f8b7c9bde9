"""Stage `keypoints`: the pose of every frame, from an estimator, from files of any known layout, or from an archive."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ClipError
from pipeline.hands.found import hands_found
from pipeline.pose.estimators import Estimator
from pipeline.pose.importing import LOOK, ImportRules, believed, read_import, squared
from pipeline.pose.keypoint_archive import KEYPOINTS, import_archive
from pipeline.pose.source import KeypointSource
from pipeline.stages.stage import Stage
from pipeline.video.encode import copy_plain
from pipeline.video.program import ffmpeg_binary
from pipeline.video.recording import color_of
from pipeline.workers.local import Engine, Work, end_workers
from pipeline.workspace.clip import Clip, Video
from pipeline.workspace.fingerprint import stamp_files
from pipeline.workspace.result import result_file, write_result
from pipeline.workspace.row import LedgerRow, Made
from shards.format.sample import npy_bytes


@dataclass(frozen=True)
class KeypointStage(Stage):
    """Depends on the color video and on the source of keypoints; for imports on every file that is read.

    A clip that has keypoints of its own is imported from there, whatever the source of the run.
    """

    name = "keypoints"
    version = 1
    suffix = ".npy"

    source: KeypointSource
    rules: ImportRules = LOOK
    ffmpeg: str | None = None  # None: see `ffmpeg_binary`

    def depends(self, clip: Clip) -> list[Any]:
        """See the class."""
        part = color_of(clip.sample).part
        if clip.sample.keypoints:
            return [clip.color, "own", stamp_files(clip.sample.keypoints), *self._reading(), *part]
        files = (self.source.files or {}).get(clip.id)
        reading = self._reading() if self.source.files is not None else []
        return [clip.color, self.source.version, stamp_files(files), *reading, *part]

    def _reading(self) -> list[Any]:
        return [rules for rules in self.rules.as_json() if rules]

    def work(self, clip: Clip, number: int) -> Work:
        """See `Stage`."""
        if clip.sample.keypoints:
            return partial(_import, Path(clip.sample.keypoints), self.rules, clip, self.result(clip.id))
        if self.source.estimator:
            return partial(_estimate, self.source.estimator, clip, number, self.ffmpeg, self.result(clip.id))
        file = (self.source.files or {}).get(clip.id)
        if file is None:
            return partial(_absent, f"{self.source.root}: no keypoints of {clip.id} in it")
        return partial(_import, Path(file), self.rules, clip, self.result(clip.id))

    def make(self, clips: Sequence[Clip], run: Engine) -> Iterator[LedgerRow]:
        """See `Stage`; an archive is read once, as one stream."""
        from_archive = [clip for clip in clips if self.source.archive and not clip.sample.keypoints]
        if others := [clip for clip in clips if clip.sample.keypoints or not self.source.archive]:
            yield from super().make(others, run)
        if from_archive:
            frames = {clip.id: clip.video.frames for clip in from_archive}
            yield from self.rows_of(
                from_archive, import_archive(self.source.archive, frames, KEYPOINTS), self._keep_archived
            )
        if self.source.estimator:
            end_workers()  # an estimator that stays up between clips would keep its memory for the rest of the run

    def found(self, clip: Clip, row: LedgerRow) -> None:
        """See `Stage`."""
        clip.keypoints = result_file(row)

    def _keep_archived(self, clip: Clip, points: np.ndarray) -> Made:
        source = f"{self.source.archive[0]}: {clip.id}"
        return keep_keypoints(squared(points, clip.video), clip.video, source, self.result(clip.id))


def _estimate(estimator: Estimator, clip: Clip, number: int, ffmpeg: str | None, path: Path) -> Made:
    recording, frames = color_of(clip.sample), clip.video.frames
    if clip.video.plain:
        return keep_keypoints(estimator.estimate(recording.path, frames, number), clip.video, clip.id, path)
    # Estimators open files their own way; of this one they would see another stream, size or part.
    with tempfile.TemporaryDirectory(prefix="signshards-copy-") as folder:
        copy = Path(folder, f"{clip.id}.mkv")
        copy_plain(recording, clip.video, copy, ffmpeg_binary(ffmpeg))
        return keep_keypoints(estimator.estimate(str(copy), frames, number), clip.video, clip.id, path)


def _import(source: Path, rules: ImportRules, clip: Clip, path: Path) -> Made:
    keypoints = read_import(source, rules, clip.video if clip.sample.color else None)
    return keep_keypoints(keypoints.points, clip.video, str(source), path)


def _absent(reason: str) -> Made:
    raise ClipError(reason)


def keep_keypoints(keypoints: np.ndarray, video: Video, source: str, path: Path) -> Made:
    """Write (T, 135, 3) keypoints as float32, once they can be believed.

    The facts say in how many frames there is a person, and each hand, and what is odd about them.

    Raises:
        ClipError: they are not of this clip.
    """
    points, notes = believed(keypoints, video, source)
    seen = int(points[..., :2].any(axis=(1, 2)).sum())
    hands = hands_found(points).sum(axis=0).tolist()
    facts = {"frames_with_person": seen, "frames_with_hand": hands, "notes": notes}
    return write_result(path, npy_bytes(points), facts)
