"""`pipeline run`: from the options to a run, its summary and its exit status."""

import gc
import os
from collections.abc import Sequence
from dataclasses import replace

from pipeline.errors import RunError, is_disk_trouble
from pipeline.options import RunOptions
from pipeline.pose.archive import archive_parts
from pipeline.pose.source import (
    NO_SOURCE,
    KeypointSource,
    PoseSource,
    keypoint_source,
    own_keypoints,
    refuse_unused_rules,
)
from pipeline.run_stages import RunSettings, run_stages
from pipeline.status import summarize
from pipeline.video.program import ffmpeg_binary, named_ffmpeg, refuse_old
from pipeline.workers.local import end_workers
from pipeline.workers.signals import StoppedBySignal, stop_on_signals
from pipeline.workspace.clip import Sample
from pipeline.workspace.driver_lock import workspace_lock
from pipeline.workspace.manifest import apply_labels, class_names, read_data, write_manifest
from pipeline.workspace.paths import STAGES, Workspace
from shards.command_line import print_line, settings_from
from shards.errors import InputError
from shards.format.dataset import SAMPLES_PER_SHARD
from shards.format.recipe import RECIPES
from shards.labels import label_names, read_classes


def run_command(options: RunOptions) -> int:
    """Run what `pipeline run` was asked for; returns the exit status.

    Raises:
        InputError: an option or an input file is wrong, or another driver works on the workspace.
        RunError: the disk is full, we were told to stop, or the cluster is gone; what was done is kept.
    """
    with stop_on_signals():
        try:
            return _run(options)
        except StoppedBySignal as error:
            end_workers()
            raise RunError(
                f"stopped by {error}; what is done is kept, and the same command goes on from here"
            ) from error
        except OSError as error:
            if not is_disk_trouble(error):
                raise
            where = error.filename or options.work
            raise RunError(
                f"{where}: {error.strerror}; what is done is kept: make room, run the same command"
            ) from error


def _run(options: RunOptions) -> int:
    # Planning AUTSL makes millions of small objects that stay: looking through them for garbage took 15 % of the time.
    gc.set_threshold(2_000_000, 20, 20)
    options.check()
    data = read_data(options.data, options.classes, use_depth=not options.no_depth)
    samples, names = data.samples, read_classes(options.classes) if options.classes else data.classes
    unknown = ""
    if options.labels:
        names = names or label_names(options.labels)
        samples, strangers = apply_labels(samples, options.labels, names)
        unknown = f"{options.labels}: {len(strangers)} ids name no clip, e.g. {strangers[0]}" if strangers else ""
    settings = _settings(options, samples, names)
    workspace, part = settings.workspace, settings.part
    workspace.create()
    with workspace_lock(workspace.ledgers, part):
        if part is None:
            workspace.remove_leftovers()
        write_manifest(workspace.manifest, samples)
        if part is not None:
            samples = [sample for sample in samples if part.holds(sample.id)]
        outcomes = run_stages(samples, settings)
    for line in data.warnings:
        print_line(f"warning: {line}", err=True)
    return summarize(outcomes, workspace, settings.shards_folder, part, unknown)


def _settings(options: RunOptions, samples: Sequence[Sample], names: list[str] | None) -> RunSettings:
    part, stages = options.chosen_part(), options.chosen_stages()
    ffmpeg = named_ffmpeg(options.ffmpeg) if options.ffmpeg else None
    refuse_old(ffmpeg_binary(ffmpeg))
    return RunSettings(
        workspace=Workspace(options.work.absolute()),  # workers of a cluster do not share our working directory
        stages=stages,
        # Frames are counted by machines, too, that have no estimator.
        source=NO_SOURCE if stages == STAGES[:1] else _source(options, samples, ffmpeg),
        rules=options.import_rules(),
        classes=class_names(samples, names, options.classes or options.labels or options.data),
        recipe=RECIPES[options.recipe],
        quality=options.quality,
        flow_archive=tuple(archive_parts(options.poseflow)) if options.poseflow else (),
        shards=options.shards_out.absolute() if options.shards_out else None,
        samples_per_shard=options.samples_per_shard or SAMPLES_PER_SHARD,
        jobs=options.jobs or len(os.sched_getaffinity(0)),
        scheduler=options.scheduler,
        part=part,
        ffmpeg=ffmpeg,
        take_damaged=options.damaged == "take",
        depth_range=options.depth_range,
    )


def _source(options: RunOptions, samples: Sequence[Sample], ffmpeg: str | None) -> KeypointSource:
    rules = options.import_rules()
    if rules.size and all(sample.color for sample in samples):
        raise InputError("--picture-size is for clips without video; here each has one; leave it out")
    ids = [sample.id for sample in samples if not sample.keypoints]
    asked = settings_from(vars(options), PoseSource)
    if ids:
        source = keypoint_source(asked, ids, rules, ffmpeg)
        if len(ids) == len(samples):
            refuse_unused_rules(source, rules)
        return source
    # --person is for keypoint files, too.
    if replace(asked, person=None) not in (PoseSource(), PoseSource(pose="import")):
        why = "all its clips have keypoints of their own; leave out --keypoints and the options of estimators"
        raise InputError(f"{options.data}: {why}")
    return own_keypoints([sample.keypoints for sample in samples if sample.keypoints], rules)
