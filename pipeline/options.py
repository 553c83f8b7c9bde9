"""From the options of `pipeline run` to a run, its summary and its exit status."""

import gc
import os
import sys
from pathlib import Path
from typing import Any

import click

from pipeline.errors import RunError, is_disk_trouble
from pipeline.plan import STAGES
from pipeline.pose.archive import archive_parts
from pipeline.pose.choice import EstimatorOptions, choose_estimator, refuse_unused
from pipeline.run import Outcome, run_stages
from pipeline.stages.handcrops import CropSettings
from pipeline.stages.stage import KeypointSource, RunSettings
from pipeline.video.probe import ffmpeg_binary, named_ffmpeg, refuse_old
from pipeline.workers.local import end_workers
from pipeline.workers.signals import Stopped, stop_on_signals
from pipeline.workspace.fingerprint import stamp
from pipeline.workspace.lock import workspace_lock
from pipeline.workspace.manifest import apply_labels, class_names, read_data, write_manifest
from pipeline.workspace.part import Part, parse_part
from pipeline.workspace.paths import Workspace
from shards.errors import InputError
from shards.format.recipe import RECIPES
from shards.format.writer import SAMPLES_PER_SHARD

SOME_FAILED = 3
_SHOWN = 10


def run_command(**options: Any) -> int:
    """Run what `pipeline run` was asked for; returns the exit status.

    Raises:
        InputError: an option or an input file is wrong, or another driver works on the workspace.
        RunError: the disk is full, we were told to stop, or the cluster is gone; what was done is kept.
    """
    with stop_on_signals():
        try:
            return _run(options)
        except Stopped as error:
            end_workers()
            raise RunError(
                f"stopped by {error}; what is done is kept, and the same command goes on from here"
            ) from error
        except OSError as error:
            if not is_disk_trouble(error):
                raise
            where = error.filename or options["work"]
            raise RunError(
                f"{where}: {error.strerror}; what is done is kept: make room, run the same command"
            ) from error


def _run(options: dict[str, Any]) -> int:
    # Planning AUTSL makes millions of small objects that stay: looking through them for garbage took 15 % of the time.
    gc.set_threshold(100_000, 20, 20)
    refuse_contradictions(options)
    samples = read_data(options["data"], use_depth=not options["no_depth"])
    unknown: list[str] = []
    if options["labels"]:
        samples, unknown = apply_labels(samples, options["labels"])
    part = parse_part(options["part"]) if options["part"] else None
    # Workers of a cluster do not share our working directory.
    workspace = Workspace(options["work"].absolute())
    ffmpeg = named_ffmpeg(options["ffmpeg"]) if options["ffmpeg"] else None
    refuse_old(ffmpeg_binary(ffmpeg))
    stages = chosen_stages(options["stages"], part)
    settings = RunSettings(
        workspace=workspace,
        stages=stages,
        # Frames are counted by machines, too, that have no estimator.
        source=keypoint_source(options, ffmpeg) if stages != ("frames",) else None,
        recipe=RECIPES[options["recipe"]],
        crops=CropSettings(options["quality"]),
        shards=(options["shards"] or workspace.shards).absolute(),
        samples_per_shard=options["samples_per_shard"] or SAMPLES_PER_SHARD,
        jobs=options["jobs"] or len(os.sched_getaffinity(0)),
        ffmpeg=ffmpeg,
        classes=class_names(samples, options["classes"]),
        flow_archive=flow_archive(options["poseflow"], options["recipe"]),
        scheduler=options["scheduler"],
        part=part,
    )
    workspace.create()
    with workspace_lock(workspace.ledgers, part):
        if part is None:
            workspace.remove_leftovers()
        write_manifest(workspace.manifest, samples)
        if part is not None:
            samples = [sample for sample in samples if part.holds(sample.id)]
        outcomes = run_stages(samples, settings)
    return summarise(outcomes, settings, options["labels"], unknown)


def refuse_contradictions(options: dict[str, Any]) -> None:
    """Make sure that no option was typed that another one leaves without effect (see also `keypoint_source`).

    Raises:
        InputError: one was.
    """
    if options["jobs"] and options["scheduler"]:
        raise InputError(
            "--jobs does not go with --scheduler: the cluster's workers say how many clips run at once; leave it out"
        )
    for name in ("shards", "samples_per_shard"):
        if options["part"] and options[name]:
            raise InputError(f"{_typed(name)} does not go with --part: give it to the run that makes the shards")


def _typed(name: str) -> str:
    return "--" + name.replace("_", "-")


def chosen_stages(asked: tuple[str, ...], part: Part | None) -> tuple[str, ...]:
    """The stages to run, in order. The shards hold clips of all parts, so a part leaves them to a later run.

    Raises:
        InputError: a part was asked for the shards.
    """
    if part is not None and "shards" in asked:
        raise InputError("--stage shards does not go with --part: run it once, without --part, when all parts are done")
    stages = STAGES if "all" in asked else tuple(stage for stage in STAGES if stage in asked)
    return stages if part is None else tuple(stage for stage in stages if stage != "shards")


def keypoint_source(options: dict[str, Any], ffmpeg: str | None = None) -> KeypointSource:
    """Where keypoints come from, said in a line on stderr. `ffmpeg` is the binary for MediaPipe.

    Raises:
        InputError: the options contradict each other, or name something that is not there.
    """
    pose, path = options["pose"], options["keypoints"]
    if pose == "import" and path is None:
        raise InputError("--pose import needs --keypoints: a folder of JSON, a tar, or the first part of a split one")
    if path is not None and pose in ("openpose", "mediapipe"):
        raise InputError(f"--keypoints goes with --pose import, not with --pose {pose}")
    if path is None:
        estimator, why = choose_estimator(pose, _estimator_options(options), ffmpeg)
        click.echo(f"keypoints from {why}", err=True)
        return KeypointSource(estimator.name, [estimator.name, estimator.version], estimator)
    refuse_unused(_estimator_options(options), "--keypoints", str(path))
    click.echo(f"keypoints from {path}", err=True)
    if path.is_dir():
        return KeypointSource("import", "import", folders=find_folders(path), root=str(path.absolute()))
    parts = archive_parts(path)
    return KeypointSource("import", ["import", [stamp(part) for part in parts]], archive=tuple(parts))


def _estimator_options(options: dict[str, Any]) -> EstimatorOptions:
    gpus = tuple(gpu for gpu in (options["gpus"] or "").split(",") if gpu)
    return EstimatorOptions(options["openpose_bin"], options["openpose_models"], gpus=gpus)


def flow_archive(path: Path | None, recipe: str) -> tuple[Path, ...]:
    """The parts of the archive that pose flow is read from; none: it is computed.

    Raises:
        InputError: no such archive, or its flow is not that of the recipe.
    """
    if path is None:
        return ()
    if recipe != "reference":
        raise InputError(
            f"--poseflow {path}: released pose flow goes with --recipe reference; leave it out to compute it"
        )
    return tuple(archive_parts(path))


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


def summarise(outcomes: list[Outcome], settings: RunSettings, labels: Path | None, unknown: list[str]) -> int:
    """Print what came of the run; returns its exit status."""
    click.echo("\nstage       done  new  failed  waiting")
    for outcome in outcomes:
        failed, waiting = len(outcome.failed), outcome.waiting
        click.echo(f"{outcome.stage:<10}{outcome.done:>6}{outcome.now:>5}{failed:>8}{waiting:>9}")
    failures = [(outcome.stage, row) for outcome in outcomes for row in outcome.failed]
    for stage, row in failures[:_SHOWN]:
        click.echo(f"failed: {row.id} ({stage}): {row.error}", err=True)
    if len(failures) > _SHOWN:
        click.echo(
            f"… and {len(failures) - _SHOWN} more: `pipeline status --work {settings.workspace.root} --failed`",
            err=True,
        )
    if unknown:
        click.echo(f"{labels}: {len(unknown)} ids name no clip, e.g. {unknown[0]}", err=True)
    if outcomes and outcomes[-1].stage == "shards" and outcomes[-1].done and not outcomes[-1].failed:
        click.echo(f"shards: {settings.shards}")
    if settings.part:
        click.echo(
            f"part {settings.part.number}/{settings.part.count}; when all are done: --stage shards, without --part"
        )
    sys.stdout.flush()
    return SOME_FAILED if failures or unknown else 0
