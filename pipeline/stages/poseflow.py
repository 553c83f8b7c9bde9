"""Stage `poseflow`: the pose flow of a clip, computed from its keypoints or read from a released archive."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ClipError
from pipeline.pose.flow import pose_flow
from pipeline.pose.keypoint_archive import POSE_FLOW, import_archive
from pipeline.stages.stage import Stage
from pipeline.workers.local import Engine, Work
from pipeline.workspace.clip import Clip, ResultFile
from pipeline.workspace.fingerprint import stamp
from pipeline.workspace.result import read_array, result_file, write_result
from pipeline.workspace.row import LedgerRow, Made
from shards.format.recipe import Recipe
from shards.format.sample import npy_bytes, number_fault


@dataclass(frozen=True)
class PoseFlow(Stage):
    """Depends on the bytes of the keypoints and two switches of the recipe; or on the archive's parts."""

    name = "poseflow"
    version = 2
    suffix = ".npy"

    recipe: Recipe
    archive: tuple[Path, ...] = ()  # parts of the archive that pose flow is read from; none: it is computed

    def depends(self, clip: Clip) -> list[Any]:
        """See the class."""
        if self.archive:
            return [clip.color, clip.video.frames, [stamp(part) for part in self.archive]]
        upstream = [clip.fingerprints["keypoints"], clip.keypoints.size, clip.keypoints.crc32]
        return [upstream, self.recipe.chained_imputation, self.recipe.scale_per_frame]

    def work(self, clip: Clip, number: int) -> Work:
        """See `Stage`."""
        keypoints = self.workspace.keypoints(clip.id)
        return partial(_compute, keypoints, clip.keypoints, self.recipe, self.result(clip.id))

    def make(self, clips: Sequence[Clip], run: Engine) -> Iterator[LedgerRow]:
        """See `Stage`; an archive is read once, as one stream."""
        if not self.archive:
            yield from super().make(clips, run)
        else:
            flows = import_archive(self.archive, {clip.id: clip.video.frames - 1 for clip in clips}, POSE_FLOW)
            yield from self.rows_of(clips, flows, lambda clip, flow: keep_flow(flow, self.result(clip.id)))

    def found(self, clip: Clip, row: LedgerRow) -> None:
        """See `Stage`."""
        clip.poseflow = result_file(row)


def _compute(keypoints: Path, expected: ResultFile, recipe: Recipe, path: Path) -> Made:
    return keep_flow(pose_flow(read_array(keypoints, expected), recipe), path)


def keep_flow(flow: np.ndarray, path: Path) -> Made:
    """Write float32 (T-1, 135, 2) pose flow.

    Raises:
        ClipError: it cannot be.
    """
    if fault := number_fault(flow):
        raise ClipError(f"{path.stem}: its pose flow {fault}; are its keypoints right?")
    return write_result(path, npy_bytes(flow), {})
