"""From the options of `predict` to predictions, and its exit status."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from pipeline.from_videos import PoseSource, VideoShards, find_clips, shards_of_videos, write_overlay
from shards.errors import InputError
from shards.files import check_output
from shards.format.shardset import files_of, open_shards
from train.data.window import window_frames
from train.evaluate.labels import read_ids
from train.fit.checkpoint import Checkpoint, read_checkpoint
from train.fit.distributed import choose_device
from train.predict.predict import (
    Prediction,
    PredictSettings,
    predict_shards,
    write_likeliest,
    write_logits,
    write_predictions,
)
from train.predict.sliding import read_infos
from train.predict.tables import likeliest
from train.predict.views import Looks

SOME_FAILED = 3
# Options that say something about videos.
_FOR_VIDEO = ("pose", "keypoints", "openpose_bin", "openpose_models", "overlay")
_DRAWN = 3  # signs of an answer in the overlay


def predict_command(options: dict[str, Any]) -> int:
    """Do what `predict` was asked for; returns the exit status.

    Raises:
        InputError: options that do not go together, or a wrong input file.
        RunError: we were told to stop, or there is no room for the clips' samples.
    """
    check_options(options)
    source, looks = options["checkpoint"], Looks(options["windows"], options["mirror"], options["sliding"])
    settings = PredictSettings(options["batch_size"], options["num_workers"], options["device"], looks)
    clips = find_clips(options["videos"])
    if options["overlay"] and len(clips) > 1:
        raise InputError(f"--overlay draws on one clip, and --video names {len(clips)}")
    shards = None if clips else open_shards(options["shards"])
    check_outputs(options, files_of(shards) if shards else clips.values())
    template = _template(options["template"], shards.ids.to_pylist() if shards else clips)
    kept = read_checkpoint(source)
    looks.check(kept.recipe)
    choose_device(settings.device)  # what is wrong with it should be said before the clips are worked on
    if not clips:
        _write(predict_shards(kept, source, options["shards"], settings), template, options)
        return 0
    pose = PoseSource(*(options[name] for name in ("pose", "keypoints", "openpose_bin", "openpose_models")))
    with_depth = kept.model_settings.with_depth
    with shards_of_videos(clips, pose, kept.recipe, _names(kept), with_depth) as videos:
        for line in videos.failed:
            click.echo(f"failed: {line}", err=True)
        if videos.clips:
            prediction = predict_shards(kept, source, str(videos.folder), settings)
            _write(prediction, template, options)
            if options["overlay"]:
                _draw(videos, kept, looks, prediction, options["overlay"])
    return SOME_FAILED if videos.failed else 0


def check_options(options: dict[str, Any]) -> None:
    """InputError for options that do not go together."""
    if bool(options["shards"]) == bool(options["videos"]):
        raise InputError("give either --shards or --video")
    if options["shards"] and (given := [name for name in _FOR_VIDEO if options[name]]):
        raise InputError(f"--{given[0].replace('_', '-')} goes with --video, not with --shards")
    if options["sliding"]:
        if options["windows"] > 1:
            raise InputError("--sliding has every window's own answer, --windows their mean: give one of the two")
        if options["template"] or options["save_logits"]:
            raise InputError("--template and --save-logits take one answer per clip; --sliding has several")


def check_outputs(options: dict[str, Any], sources: Iterable[Path]) -> None:
    """InputError where an output cannot be written, or is what is read, or another output."""
    outputs = [options[name] for name in ("out", "overlay", "save_logits") if options[name]]
    read = [options[name] for name in ("checkpoint", "template", "keypoints") if options[name]]
    for number, path in enumerate(outputs):
        check_output(path, *sources, *read, *outputs[:number])


def _template(path: Path | None, known: Collection[str]) -> list[str] | None:
    """The ids in a template, all of which must be among the samples; None without a template."""
    if path is None:
        return None
    ids, samples = read_ids(path), set(known)
    absent = [sample_id for sample_id in ids if sample_id not in samples]
    if absent:
        raise InputError(f"{path}: {len(absent)} of its ids are no samples here, e.g. {absent[0]}; take them out")
    return ids


def _names(kept: Checkpoint) -> list[str]:
    return kept.classes or [str(number) for number in range(kept.model_settings.num_classes)]


def _write(prediction: Prediction, template: Sequence[str] | None, options: dict[str, Any]) -> None:
    out = options["out"]
    if options["top_k"] or options["sliding"]:
        write_likeliest(out, prediction, template, options["top_k"] or 1)
    else:
        write_predictions(out, prediction, template)
    if options["save_logits"]:
        write_logits(options["save_logits"], prediction)
    click.echo(f"{out}: {len(prediction.ids)} predictions")


def _draw(videos: VideoShards, kept: Checkpoint, looks: Looks, prediction: Prediction, out: Path) -> None:
    """The overlay of the only clip; an answer's time is that of the frames that the model saw."""
    times = prediction.times
    if times is None:
        info = next(read_infos(open_shards(str(videos.folder))))
        frames = np.stack([window_frames(info.frames, kept.window, kept.recipe, view.start) for view in looks.views])
        times = np.array([[frames.min() / info.fps, (frames.max() + 1) / info.fps]])
    answers = []
    for (start, end), logits in zip(times.tolist(), prediction.logits, strict=True):
        signs = [(prediction.classes[label], share) for label, share in likeliest(logits, _DRAWN)]
        answers.append((start, end, signs))
    write_overlay(videos, prediction.ids[0], answers, out)
    click.echo(f"{out}: overlay")
