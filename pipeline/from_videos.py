"""Shards straight from videos, or from keypoints, for `predict --video` and `Recognizer.predict`.

It runs the stages of `pipeline run`, in a workspace that is gone afterwards, so that a clip gives the same sample, and
the same prediction, as through shards on disk.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.errors import ClipError, RunError, is_disk_trouble
from pipeline.overlay import Answer, draw_video
from pipeline.pose.importing import LOOK
from pipeline.pose.layouts.keypoint_files import kind_of
from pipeline.pose.source import KeypointSource, PoseSource, keypoint_source, own_keypoints
from pipeline.run_stages import RunSettings, run_stages
from pipeline.status import show_warnings
from pipeline.video.program import ffmpeg_binary, refuse_old
from pipeline.workers.local import end_workers
from pipeline.workers.signals import StoppedBySignal, stop_on_signals
from pipeline.workspace.clip import VIDEO_SUFFIXES, Sample
from pipeline.workspace.paths import STAGES, Workspace
from shards.errors import InputError
from shards.format.recipe import Recipe
from shards.format.sample import MEMBERS, SampleInfo, array_from_npy, info_from_json
from shards.format.shardset import MemberReader, open_shards
from shards.labels import plain_id
from shards.names import id_problem

_MEMORY = Path("/dev/shm")  # noqa: S108 - a private folder is made in it
# With less, the temporary folder is used: containers often have 64 MiB.
_ENOUGH_MEMORY = 1 << 30


@dataclass(frozen=True)
class VideoShards:
    """What became of some clips."""

    folder: Path  # of shards; without a `dataset.json` where no clip could be used
    clips: dict[str, Path]  # id: file, of those in the shards
    failed: list[str]  # one line for each of the others: id, stage, reason


@dataclass(frozen=True)
class ModelNeeds:
    """What a model asks of a clip's sample."""

    recipe: Recipe
    classes: list[str]  # names
    with_depth: bool = False  # `<id>_depth` is looked for beside each clip
    with_crops: bool = True  # False: keypoints are all that it sees
    estimator: str | None = None  # whose keypoints it knows; None: whoever's


def find_clips(paths: Sequence[Path]) -> dict[str, Path]:
    """Video files by id: the file's name without suffix and, as in AUTSL, without `_color`.

    A folder stands for the videos in it, those named `<id>_depth` left out; one of a clip's keypoints for these. Of the
    files named, too, `<id>_depth` is left out where `<id>` or `<id>_color` is among them, as of a glob.

    Raises:
        InputError: nothing there, a name that cannot be an id, or two files of one id.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir() and kind_of(path) is None:
            inside = sorted(file for file in path.iterdir() if file.suffix.lower() in VIDEO_SUFFIXES)
            inside = [file for file in inside if not file.name.startswith(".") and not file.stem.endswith("_depth")]
            if not inside:
                raise InputError(
                    f"{path}: no videos in it ({', '.join(sorted(VIDEO_SUFFIXES))}); "
                    "a clip that is a folder of pictures goes through `pipeline run`"
                )
            files += inside
        elif path.exists():
            files.append(path)
        else:
            raise InputError(f"{path}: no such file or folder")
    ids = [plain_id(file.stem.removesuffix("_color")) for file in files]
    depth = {f"{sample_id}_depth" for sample_id in ids}
    clips: dict[str, Path] = {}
    for file, sample_id in zip(files, ids, strict=True):
        if sample_id in depth:
            continue
        if problem := id_problem(sample_id):
            raise InputError(f"{file}: {problem}; rename it")
        if clips.setdefault(sample_id, file) != file:
            raise InputError(f"{file} and {clips[sample_id]}: two clips named {sample_id}; rename one")
    return clips


def check_drawable(clips: dict[str, Path]) -> None:
    """InputError where there is no one video to draw an overlay on."""
    if len(clips) != 1:
        raise InputError(f"--overlay draws on one clip, and --video names {len(clips)}")
    path = next(iter(clips.values()))
    if kind_of(path):
        raise InputError(f"{path}: keypoints alone, and --overlay draws on a video; give that, with --keypoints")


@contextmanager
def shards_of_videos(clips: dict[str, Path], pose: PoseSource, needs: ModelNeeds) -> Iterator[VideoShards]:
    """Shards of some clips, for as long as the block lasts; SIGINT and SIGTERM end it and remove them.

    Raises:
        InputError: an option is wrong, or the keypoints would be another estimator's than the model knows.
        RunError: we were told to stop, there is no room, or it does not hold what was written.
    """
    place = _scratch()
    try:
        with stop_on_signals(), tempfile.TemporaryDirectory(prefix="signshards-video-", dir=place) as folder:
            yield _run(clips, Path(folder), pose, needs)
    except StoppedBySignal as error:
        end_workers()
        raise RunError(f"stopped by {error}; no file is half written") from error
    except OSError as error:
        if not is_disk_trouble(error):
            raise
        raise RunError(f"{error.filename or place}: {error.strerror}; make room, or name a folder in TMPDIR") from error


def _scratch() -> Path:
    """The memory's file system where it has room, else the temporary folder."""
    usable = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _ENOUGH_MEMORY
    return _MEMORY if usable and "TMPDIR" not in os.environ else Path(tempfile.gettempdir())


def _run(clips: dict[str, Path], folder: Path, pose: PoseSource, needs: ModelNeeds) -> VideoShards:
    refuse_old(ffmpeg_binary())
    workspace = Workspace(folder)
    source = _source(clips, pose, needs)
    if needs.estimator not in (None, source.name):
        raise InputError(
            f"keypoints would be those of {source.name}, but the model was trained on those of {needs.estimator}; "
            "choose that with --pose or --keypoints, or take these as they are with --any-estimator"
        )
    settings = RunSettings(
        workspace,
        STAGES[:-1],
        source,
        needs.classes,
        needs.recipe,
        jobs=min(len(os.sched_getaffinity(0)), len(clips)),
        with_crops=needs.with_crops,
    )
    samples, failed = _samples(clips, needs.with_depth)
    workspace.create()
    outcomes = run_stages(samples, settings) if samples else []
    show_warnings(outcomes)
    rows = [(outcome.stage, row) for outcome in outcomes for row in outcome.failed]
    failed += [f"{row.id} ({stage}): {row.error}" for stage, row in rows]
    lost = {row.id for _, row in rows}
    usable = [sample for sample in samples if sample.id not in lost]
    if usable:
        made = run_stages(usable, replace(settings, stages=STAGES[-1:]))
        if broken := [row for outcome in made for row in outcome.failed]:
            raise RunError(f"the clips' samples cannot be put together: {broken[0].error}")
    return VideoShards(workspace.shards, {sample.id: clips[sample.id] for sample in usable}, failed)


def _source(clips: dict[str, Path], pose: PoseSource, needs: ModelNeeds) -> KeypointSource:
    """Where keypoints come from: what `pose` says, or, of clips that are keypoints, these themselves."""
    own = {sample_id: str(path) for sample_id, path in clips.items() if kind_of(path)}
    if not own:
        return keypoint_source(pose, list(clips), LOOK)
    first = next(iter(own.values()))
    if needs.with_crops:
        raise InputError(f"{first}: keypoints alone, but the model sees hand crops; give the video")
    if len(own) < len(clips):
        raise InputError(f"{first}: keypoints among videos; give one kind at a time")
    return own_keypoints(own.values(), LOOK)


def _samples(clips: dict[str, Path], with_depth: bool) -> tuple[list[Sample], list[str]]:
    """The clips as the pipeline knows them, and a line for each that lacks its depth video."""
    samples: list[Sample] = []
    failed: list[str] = []
    for sample_id, color in sorted(clips.items()):
        if kind_of(color):
            samples.append(Sample(sample_id, "video", "", None, None, None, str(color.absolute())))
            continue
        depth = color.with_stem(f"{color.stem.removesuffix('_color')}_depth").absolute() if with_depth else None
        if depth is not None and not depth.is_file():
            failed.append(f"{sample_id}: the checkpoint's model sees depth, and there is no {depth}")
            continue
        samples.append(Sample(sample_id, "video", "", None, str(color.absolute()), str(depth) if depth else None))
    return samples, failed


def write_overlay(
    videos: VideoShards, sample_id: str, answers: Sequence[tuple[float, float, list[tuple[str, float]]]], out: Path
) -> None:
    """Draw a clip's keypoints, its hand boxes and what was predicted onto its video; see `pipeline.overlay`.

    Args:
        videos: where the clip's sample is.
        sample_id: the clip's.
        answers: for every window its start and end in seconds, and its likeliest signs with their probabilities.
        out: MP4 to write.

    Raises:
        InputError: the file cannot be written.
    """
    info, keypoints = _pose_of(videos.folder, sample_id)
    try:
        draw_video(videos.clips[sample_id], info, keypoints, [Answer(*answer) for answer in answers], out)
    except ClipError as error:
        raise InputError(str(error)) from error


def _pose_of(folder: Path, sample_id: str) -> tuple[SampleInfo, np.ndarray]:
    """A sample's JSON and its float32 (T, 135, 3) keypoints."""
    shards = open_shards(str(folder))
    number = shards.ids.to_pylist().index(sample_id)
    with closing(MemberReader(shards)) as reader:
        info, pose = (reader.read(number, MEMBERS.index(name)) for name in ("json", "pose.npy"))
        return info_from_json(info), array_from_npy(pose)
