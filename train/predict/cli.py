"""The `predict` command."""

import sys
from pathlib import Path
from typing import Any

import click

from shards.command_line import (
    ManyValuesCommand,
    ShardPattern,
    file_patterns,
    settings_from,
    version_option,
)
from shards.remote.cache import CacheSettings, cache_options
from train.ranks.threads import wait_passively

FILE = click.Path(path_type=Path)


_GROUPS = {
    "Model": ("checkpoints", "weights", "any_estimator"),
    "From shards": ("shards", "fold_file", "test_fold", "cache", "cache_gb"),
    "From videos": (
        *("videos", "pose", "keypoints", "openpose_bin", "openpose_models", "rtmw_detector", "rtmw_model", "overlay"),
    ),
    "Views": ("windows", "mirror", "sliding"),
    "Output": ("out", "top_k", "template", "save_logits"),
    "Machine": ("batch_size", "num_workers", "device"),
}


@click.command(
    cls=ManyValuesCommand,
    groups=_GROUPS,
    old_names={"--folds": "--fold-file"},
    context_settings={"show_default": True, "help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option(
    "--checkpoint",
    "checkpoints",
    required=True,
    multiple=True,
    type=FILE,
    callback=file_patterns(),
    metavar="FILE...",
    help="A run's best.pt or last.pt. Several, or a glob such as 'runs/*/best.pt', are one recognizer: the weighted "
    "mean of their models' probabilities.",
)
@click.option(
    "--weights", help="Of the checkpoints: 0.6,0.4, or a file of `evaluate --save-weights`.  [default: equal]"
)
@click.option("--any-estimator", is_flag=True, help="Take keypoints of another estimator than the checkpoint's.")
@click.option(
    "--shards",
    type=ShardPattern(),
    multiple=True,
    help="Shards: 'test-{000..009}.tar', a glob, or a folder; also https://…, s3://…, gs://…, pipe:…; several are one "
    "set.",
)
@cache_options
@click.option("--fold-file", type=FILE, help="CSV id,fold of `shards split`: predict only one fold of --shards.")
@click.option("--test-fold", help="With --fold-file: which, as in `train`.")
@click.option(
    "--video",
    "videos",
    multiple=True,
    type=FILE,
    callback=file_patterns(),
    metavar="CLIP...",
    help="Instead of shards: video files, folders of them, or globs such as 'clips/*.mp4'.",
)
@click.option(
    "--pose",
    type=click.Choice(("mediapipe", "openpose", "rtmw", "import")),
    help="For --video: source of keypoints, as in `pipeline run`.  [default: import with --keypoints, else OpenPose "
    "where its binary is, else MediaPipe]",
)
@click.option(
    "--keypoints",
    type=FILE,
    help="For --video with --pose import: keypoints that are there already, as in `pipeline run`.",
)
@click.option("--openpose-bin", help="For --video: OpenPose's binary.  [default: $OPENPOSE_BIN, else the one on PATH]")
@click.option("--openpose-models", type=FILE, help="For --video: OpenPose's models folder.")
@click.option("--rtmw-detector", type=FILE, help="For --video with --pose rtmw: YOLOX model of people, ONNX.")
@click.option("--rtmw-model", type=FILE, help="For --video with --pose rtmw: RTMW model, ONNX.")
@click.option("--template", type=FILE, help="CSV whose first column gives ids and their order.")
@click.option("--out", required=True, type=FILE, help="Predictions: CSV id,class, no header.")
@click.option(
    "--top-k", type=click.IntRange(1), help="Write id,rank,class,name,probability of the K likeliest classes instead."
)
@click.option(
    "--sliding",
    type=click.IntRange(1),
    metavar="FRAMES",
    help="Long clips: an answer every so many frames, written as id,start,end (seconds),rank,class,name,probability.",
)
@click.option("--windows", type=click.IntRange(1), default=1, help="Windows per clip, averaged; N cost N times one.")
@click.option("--mirror", is_flag=True, help="Average with the mirrored view, hands swapped; costs twice as much.")
@click.option("--overlay", type=FILE, help="For one --video: write an MP4 with skeleton, hand boxes and answer drawn.")
@click.option("--save-logits", type=FILE, help="Also write ids, logits and class names as .npz.")
@click.option("--batch-size", type=click.IntRange(1), default=8)
@click.option("--num-workers", type=click.IntRange(0), default=2, help="Loader processes.")
@click.option("--device", help="As torch names it.  [default: cuda where there is one, else cpu]")
@version_option
def main(**options: Any) -> None:
    """Predict the class of every sample of some shards, or of clips straight from their videos.

    A video goes through the stages of `pipeline run` with the checkpoint's recipe, in memory, and gives what it would
    give through shards. Exit status: 0 done; 2 the command line or an input file is wrong; 3 some clips failed (they
    are named, with reasons), the others were predicted; 1 anything else.
    """
    wait_passively()
    # They import torch, which --help can do without.
    from pipeline.from_videos import PoseSource
    from train.predict.checkpoint_model import ComputeSettings
    from train.predict.predict import PredictOptions, predict
    from train.predict.view_average import ViewSettings

    source, views = settings_from(options, PoseSource), settings_from(options, ViewSettings)
    compute, cache = settings_from(options, ComputeSettings), settings_from(options, CacheSettings)
    nested = {"pose_source": source, "views": views, "compute": compute, "cache": cache}
    sys.exit(predict(settings_from(options, PredictOptions, **nested)))


if __name__ == "__main__":
    main()
