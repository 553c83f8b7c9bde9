"""What each stage depends on, and what it does with a clip. How stages are run is `run.py`'s business."""

import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.plan import is_result, mtime_of
from pipeline.pose.estimators import Estimator
from pipeline.stages.frames import count_frames, video_of
from pipeline.stages.handcrops import CropSettings, make_sample
from pipeline.stages.keypoints import estimate_keypoints, import_folder
from pipeline.stages.poseflow import compute_poseflow
from pipeline.workers.local import Task
from pipeline.workspace.clip import Sample
from pipeline.workspace.fingerprint import fingerprint, stamp, stamp_folder
from pipeline.workspace.part import Part
from pipeline.workspace.paths import Workspace
from pipeline.workspace.row import DONE, Row
from shards.format.recipe import Recipe

Work = Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class KeypointSource:
    """Where keypoints come from: an estimator, folders of JSON, or the parts of an archive. One of the three is set."""

    name: str  # for `dataset.json`
    version: Any  # for fingerprints
    estimator: Estimator | None = None
    folders: dict[str, str] | None = None  # sample id: folder
    root: str = ""  # of the folders, for messages
    archive: tuple[Path, ...] = ()


@dataclass(frozen=True)
class RunSettings:
    """What `pipeline run` was asked for."""

    workspace: Workspace
    stages: tuple[str, ...]
    source: KeypointSource | None  # None: only frames were asked for
    recipe: Recipe
    crops: CropSettings
    shards: Path
    samples_per_shard: int
    jobs: int
    ffmpeg: str | None
    classes: list[str]
    flow_archive: tuple[Path, ...] = ()  # pose flow comes from these parts of an archive
    scheduler: str | None = None  # of a Dask cluster, instead of local processes
    part: Part | None = None


@dataclass
class Clips:
    """The clips of a run, and what its stages know of them so far."""

    samples: dict[str, Sample]
    settings: RunSettings
    stamps: dict[str, tuple[Any, Any]]  # id: stamps of the colour and the depth video
    fingerprints: dict[str, dict[str, str]] = field(default_factory=dict)  # stage: id: what it is now
    facts: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)  # stage: id: of what is done


@dataclass(frozen=True)
class Stage:
    """A stage over clips.

    `depends` gives, for a clip, everything that its result depends on; raise `version` when the stage's code changes
    what it writes. `work` gives the partial that makes the result, for a clip and its number in the plan.
    """

    name: str
    after: str | None  # the stage before it
    suffix: str | None  # of its result file, <stage>/<id><suffix>; None: it only states facts
    version: int
    depends: Callable[[Clips, str], list[Any]]
    work: Callable[[Clips, str, int], Work]
    one_core: bool = False  # the work is one FFmpeg's, and ours with its frames

    def fingerprints(self, clips: Clips) -> dict[str, str]:
        """Of every clip whose earlier stages are done."""
        ready = clips.facts[self.after] if self.after else clips.samples
        return {key: fingerprint(self.name, self.version, self.depends(clips, key)) for key in ready}

    def results(self, clips: Clips, rows: Mapping[str, Row]) -> dict[str, tuple[int, int]] | None:
        """Size in bytes and mtime (ns) of the result files there are, by id; None for a stage without files.

        A workspace that was copied without its times is known by its bytes, and gets its times back.
        """
        if self.suffix is None:
            return None
        results = {}
        with os.scandir(clips.settings.workspace.root / self.name) as entries:
            for entry in entries:
                if entry.name.endswith(self.suffix):
                    key, found = entry.name.removesuffix(self.suffix), entry.stat()
                    results[key] = (found.st_size, found.st_mtime_ns)
                    row = rows.get(key)
                    if row and not is_result(row, results[key]) and _has_bytes_of(row, Path(entry.path)):
                        os.utime(entry.path, ns=(found.st_atime_ns, row.facts["mtime_ns"]))
                        results[key] = (found.st_size, row.facts["mtime_ns"])
        return results

    def task(self, clips: Clips, key: str, value: str, number: int) -> Task:
        """`work` on a clip whose fingerprint is `value`; its facts also tell by what to know the result file again."""
        work = self.work(clips, key, number)
        marked = work if self.suffix is None else partial(_with_marks, work, self.result(clips, key))
        return Task(key, value, marked, self.one_core)

    def with_marks(self, clips: Clips, rows: Iterable[Row]) -> Iterator[Row]:
        """The same for rows of results that are not made by tasks."""
        for row in rows:
            yield replace(row, facts=row.facts | marks_of(self.result(clips, row.id))) if row.status == DONE else row

    def result(self, clips: Clips, key: str) -> Path:
        """The result file of a clip."""
        return clips.settings.workspace.root / self.name / f"{key}{self.suffix}"


def _with_marks(work: Work, result: Path) -> dict[str, Any]:
    facts = work()
    return facts | marks_of(result)


def marks_of(result: Path) -> dict[str, int]:
    """By what a result file is known again; to be asked for where it was written (see `mtime_of`)."""
    return mtime_of(result) | {"crc32": zlib.crc32(result.read_bytes())}


def _has_bytes_of(row: Row, result: Path) -> bool:
    if row.status != DONE or result.stat().st_size != row.bytes:
        return False
    return row.facts.get("crc32") == zlib.crc32(result.read_bytes())


def _frames_work(clips: Clips, key: str, number: int) -> Work:
    return partial(count_frames, clips.samples[key], clips.settings.ffmpeg)


def _keypoints_depend(clips: Clips, key: str) -> list[Any]:
    source = clips.settings.source
    return [clips.stamps[key][0], source.version, stamp_folder((source.folders or {}).get(key))]


def _keypoints_work(clips: Clips, key: str, number: int) -> Work:
    source, workspace = clips.settings.source, clips.settings.workspace
    sample, frames = clips.samples[key], clips.facts["frames"][key]["frames"]
    if source.folders is not None:
        return partial(import_folder, sample, frames, source.folders.get(key), source.root, workspace)
    return partial(estimate_keypoints, sample, frames, number, source.estimator, workspace)


def _poseflow_depend(clips: Clips, key: str) -> list[Any]:
    recipe = clips.settings.recipe
    if clips.settings.flow_archive:
        return [clips.stamps[key][0], [stamp(part) for part in clips.settings.flow_archive]]
    return [clips.fingerprints["keypoints"][key], recipe.chained_imputation, recipe.scale_per_frame]


def _poseflow_work(clips: Clips, key: str, number: int) -> Work:
    return partial(compute_poseflow, key, clips.settings.recipe, clips.settings.workspace)


def _handcrops_depend(clips: Clips, key: str) -> list[Any]:
    recipe, sample = clips.settings.recipe, clips.samples[key]
    earlier = [clips.fingerprints[stage][key] for stage in ("frames", "keypoints", "poseflow")]
    switches = [recipe.box_per_frame, recipe.late_hand_imputation, recipe.opencv_colour, recipe.aliased_colour]
    return [earlier, switches, clips.settings.crops.quality, sample.signer, sample.label]


def _handcrops_work(clips: Clips, key: str, number: int) -> Work:
    at, video = clips.settings, video_of(clips.facts["frames"][key])
    return partial(make_sample, clips.samples[key], video, at.recipe, at.crops, at.workspace, at.ffmpeg)


CLIP_STAGES = (
    Stage("frames", None, None, 1, lambda clips, key: list(clips.stamps[key]), _frames_work, one_core=True),
    Stage("keypoints", "frames", ".npy", 1, _keypoints_depend, _keypoints_work),
    Stage("poseflow", "keypoints", ".npy", 1, _poseflow_depend, _poseflow_work),
    Stage("handcrops", "poseflow", ".tar", 3, _handcrops_depend, _handcrops_work, one_core=True),
)
