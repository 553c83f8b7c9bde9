"""What `predict` does: from its options to predictions, and its exit status."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.from_videos import PoseSource, VideoShards, check_drawable, find_clips, shards_of_videos, write_overlay
from shards.command_line import print_line
from shards.csv_files import read_cells
from shards.errors import InputError
from shards.files import check_output, is_among
from shards.format.shardset import ShardSet, files_of, open_shards
from shards.labels import plain_id
from shards.remote.cache import CacheSettings
from shards.remote.localize import open_patterns
from train.data.folds import in_fold
from train.evaluate.fusion import parse_weights
from train.predict.checkpoint_model import ComputeSettings
from train.predict.prediction_files import Prediction, write_classes, write_likeliest, write_logits
from train.predict.recognizer import Recognizer
from train.predict.sliding import frame_rates
from train.predict.view_average import ViewSettings

SOME_FAILED = 3
_DRAWN = 3  # classes of an answer in the overlay


@dataclass(frozen=True)
class PredictOptions:
    """The options of `predict`; `predict --help` says what they are."""

    checkpoints: tuple[Path, ...]
    weights: str | None
    any_estimator: bool
    shards: tuple[str, ...]
    fold_file: Path | None
    test_fold: str | None
    videos: tuple[Path, ...]
    template: Path | None
    out: Path
    top_k: int | None
    overlay: Path | None
    save_logits: Path | None
    pose_source: PoseSource
    views: ViewSettings
    compute: ComputeSettings
    cache: CacheSettings


def predict(options: PredictOptions) -> int:
    """Predict and write; returns the exit status.

    Raises:
        InputError: options that do not go together, a wrong input file, or logits that are not finite.
        RunError: we were told to stop, or there is no room for the clips' samples.
    """
    _check_together(options)
    clips = find_clips(options.videos)
    if options.overlay:
        check_drawable(clips)
    shards = open_patterns(options.shards, options.cache) if options.shards else None
    if shards and options.fold_file and options.test_fold:
        shards = in_fold(shards, options.fold_file, options.test_fold)
    _check_outputs(options, files_of(shards) if shards else clips.values())
    template = _template(options.template, shards.ids.to_pylist() if shards else clips)
    weights = parse_weights(options.weights, len(options.checkpoints))
    # Before clips are worked on: it says what is wrong with the device or the weights.
    recognizer = Recognizer(options.checkpoints, weights, options.compute, options.any_estimator)
    recognizer.check(options.views)
    if shards:
        _write(recognizer.predict(shards, options.views), template, options)
        return 0
    with shards_of_videos(clips, options.pose_source, recognizer.needs) as videos:
        for line in videos.failed:
            print_line(f"failed: {line}", err=True)
        if videos.clips:
            shards = open_shards(str(videos.folder))
            prediction = recognizer.predict(shards, options.views)
            _write(prediction, template, options)
            if options.overlay:
                seen = recognizer.seen_frames(int(shards.frames[0]), options.views)
                _draw(videos, shards, seen, prediction, options.overlay)
    return SOME_FAILED if videos.failed else 0


def _check_together(options: PredictOptions) -> None:
    """InputError for options that do not go together."""
    if bool(options.shards) == bool(options.videos):
        raise InputError("give either --shards or --video")
    for number, path in enumerate(options.checkpoints):
        if is_among(path, options.checkpoints[:number]):
            raise InputError(
                f"{path}: given twice to --checkpoint, and would count twice; give it once, with --weights"
            )
    if options.weights and len(options.checkpoints) == 1:
        raise InputError("--weights are for fusing several models; give several files to --checkpoint")
    if bool(options.fold_file) != bool(options.test_fold) or (options.fold_file and not options.shards):
        raise InputError("--fold-file and --test-fold go together, and with --shards")
    for_video = {**vars(options.pose_source), "overlay": options.overlay}
    if options.shards and (given := [name for name, value in for_video.items() if value]):
        raise InputError(f"--{given[0].replace('_', '-')} goes with --video, not with --shards")
    if options.views.sliding:
        if options.views.windows > 1:
            raise InputError("--sliding has every window's own answer, --windows their mean: give one of the two")
        if options.template or options.save_logits:
            raise InputError("--template and --save-logits take one answer per clip; --sliding has several")


def _check_outputs(options: PredictOptions, sources: Iterable[Path]) -> None:
    """InputError where an output cannot be written, or is what is read, or another output."""
    outputs = [path for path in (options.out, options.overlay, options.save_logits) if path]
    pose, weights = options.pose_source, Path(options.weights) if options.weights else None  # which may be numbers
    single = (options.template, options.fold_file, weights, pose.keypoints, pose.rtmw_detector, pose.rtmw_model)
    read = [*sources, *options.checkpoints, *filter(None, single)]
    for number, path in enumerate(outputs):
        check_output(path, *read, *outputs[:number])


def _template(path: Path | None, known: Collection[str]) -> list[str] | None:
    """The ids in the first column of a CSV, in its order; None without one.

    Raises:
        InputError: no ids, one twice, or one that is not among the samples.
    """
    if path is None:
        return None
    ids = [plain_id(row[0]) for _, row in read_cells(path)]
    if not ids:
        raise InputError(f"{path}: has no rows; expected an id in each")
    if len(set(ids)) < len(ids):
        raise InputError(f"{path}: an id occurs twice, e.g. {next(i for n, i in enumerate(ids) if i in ids[:n])}")
    samples = set(known)
    if absent := [sample_id for sample_id in ids if sample_id not in samples]:
        raise InputError(f"{path}: {len(absent)} of its ids are no samples here, e.g. {absent[0]}; take them out")
    return ids


def _write(prediction: Prediction, template: Sequence[str] | None, options: PredictOptions) -> None:
    written = prediction.ordered(template)
    if options.top_k or options.views.sliding:
        write_likeliest(options.out, written, options.top_k or 1)
    else:
        write_classes(options.out, written)
    if options.save_logits:
        write_logits(options.save_logits, prediction)
    if options.videos and not options.views.sliding:
        _print_answers(written)
    print_line(f"{options.out}: {len(written.ids)} predictions")


def _print_answers(prediction: Prediction) -> None:
    """A line for each clip: its likeliest classes, with their probabilities."""
    for sample_id, signs in zip(prediction.ids, prediction.best(_DRAWN), strict=True):
        print_line(f"{sample_id}: {', '.join(f'{name} {share:.1%}' for name, share in signs)}")


def _draw(videos: VideoShards, shards: ShardSet, seen: tuple[int, int], prediction: Prediction, out: Path) -> None:
    """The overlay of the only clip; an answer's time is that of the frames that the models saw."""
    times = prediction.times
    if times is None:
        rate, (first, last) = frame_rates(shards)[0], seen
        times = np.array([[first / rate, (last + 1) / rate]])
    best = zip(times.tolist(), prediction.best(_DRAWN), strict=True)
    answers = [(start, end, signs) for (start, end), signs in best]
    write_overlay(videos, prediction.ids[0], answers, out)
    print_line(f"{out}: overlay")
