"""Where keypoints come from: an estimator that is run, folders of JSON, or an archive that others made."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from pipeline.pose.archive import archive_parts
from pipeline.pose.estimators import Estimator, OpenPose, choose_estimator
from pipeline.workspace.fingerprint import stamp
from shards.errors import InputError


@dataclass(frozen=True)
class PoseSource:
    """What the user asked for, as the options of `pipeline run` say it."""

    pose: str | None = None
    keypoints: Path | None = None
    openpose_bin: str | None = None
    openpose_models: Path | None = None
    gpus: str | None = None


@dataclass(frozen=True)
class KeypointSource:
    """What it comes to. At most one of `estimator`, `folders` and `archive` is set."""

    name: str  # for `dataset.json`
    version: Any  # for fingerprints
    estimator: Estimator | None = None
    folders: dict[str, str] | None = None  # sample id: folder
    root: str = ""  # of the folders, for messages
    archive: tuple[Path, ...] = ()


# Where nothing is imported or estimated: only frames are counted, or every clip brings its own keypoints.
NO_SOURCE = KeypointSource("import", "import")


def keypoint_source(options: PoseSource, ffmpeg: str | None = None) -> KeypointSource:
    """The source of keypoints, named in a line on stderr. `ffmpeg` is the binary for MediaPipe.

    Raises:
        InputError: the options contradict each other, or name something that is not there.
    """
    path = options.keypoints
    if options.pose == "import" and path is None:
        raise InputError("--pose import needs --keypoints: a folder of JSON, a tar, or the first part of a split one")
    if path is None:
        return _estimating(options, ffmpeg)
    if options.pose in ("openpose", "mediapipe"):
        raise InputError(f"--keypoints goes with --pose import, not with --pose {options.pose}")
    _refuse_openpose_options(options, str(path))
    click.echo(f"keypoints from {path}", err=True)
    if path.is_dir():
        return KeypointSource("import", "import", folders=find_folders(path), root=str(path.absolute()))
    parts = archive_parts(path)
    return KeypointSource("import", ["import", [stamp(part) for part in parts]], archive=tuple(parts))


def _estimating(options: PoseSource, ffmpeg: str | None) -> KeypointSource:
    gpus = tuple(gpu for gpu in (options.gpus or "").split(",") if gpu)
    models = options.openpose_models
    if models and not models.is_dir():
        raise InputError(f"{models}: no such folder; --openpose-models is the one with pose/body_135 in it")
    folder = str(models.absolute()) if models else None
    estimator, why = choose_estimator(options.pose, options.openpose_bin, folder, gpus, ffmpeg)
    if not isinstance(estimator, OpenPose):
        _refuse_openpose_options(options, why)
    click.echo(f"keypoints from {why}", err=True)
    return KeypointSource(estimator.name, [estimator.name, estimator.version], estimator)


def _refuse_openpose_options(options: PoseSource, source: str) -> None:
    for name in ("openpose_bin", "openpose_models", "gpus"):
        if getattr(options, name):
            flag = "--" + name.replace("_", "-")
            raise InputError(f"{flag} is for OpenPose, but keypoints come from {source}; leave it out")


def find_folders(root: Path) -> dict[str, str]:
    """The folders of keypoint JSON below a folder, by sample id: `<id>_color.kp`, or just `<id>.kp`.

    Links to folders are followed, as for videos.

    Raises:
        InputError: two folders for one id.
    """
    found: dict[str, str] = {}
    seen: set[str] = set()
    for folder, folders, _ in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link led back
            folders.clear()
        seen.add(real)
        for name in [name for name in folders if name.endswith(".kp")]:
            folders.remove(name)  # nothing to find in its thousands of files
            sample_id = name.removesuffix(".kp").removesuffix("_color")
            path = str(Path(folder, name).absolute())
            if found.setdefault(sample_id, path) != path:
                raise InputError(f"{path} and {found[sample_id]}: two folders of keypoints for {sample_id}; remove one")
    return found
