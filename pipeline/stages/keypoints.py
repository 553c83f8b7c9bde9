"""Stage `keypoints`: the pose of every frame, from an estimator or from a folder of JSON."""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ClipError
from pipeline.pose.estimators import Estimator
from pipeline.pose.openpose_json import read_folder
from pipeline.workspace.clip import Sample
from pipeline.workspace.paths import Workspace
from shards.files import write_whole
from shards.format.sample import npy_bytes


def estimate_keypoints(
    sample: Sample, frames: int, number: int, estimator: Estimator, workspace: Workspace
) -> dict[str, Any]:
    """Run an estimator on a clip of `frames` frames, the clip with this `number` in the plan.

    Raises:
        ClipError: see the estimator.
    """
    return keep_keypoints(estimator.estimate(sample.color, frames, number), sample.id, workspace)


def import_folder(sample: Sample, frames: int, folder: str | None, root: str, workspace: Workspace) -> dict[str, Any]:
    """Read the keypoints of a clip from its folder of JSON below `root`; None where there is no such folder.

    Raises:
        ClipError: no folder, or a frame is wrong or missing.
    """
    if folder is None:
        raise ClipError(f"{root}: no folder {sample.id}_color.kp in it")
    return keep_keypoints(read_folder(Path(folder), frames), sample.id, workspace)


def keep_keypoints(keypoints: np.ndarray, sample_id: str, workspace: Workspace) -> dict[str, Any]:
    """Write float32 (T, 135, 3) keypoints into the workspace; the facts say in how many frames there is a person."""
    data = npy_bytes(keypoints.astype(np.float32))
    write_whole(workspace.keypoints(sample_id), data)
    return {"bytes": len(data), "frames_with_person": int(keypoints[..., :2].any(axis=(1, 2)).sum())}
