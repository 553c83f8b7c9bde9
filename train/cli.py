"""The `train` command. torch is imported when it runs, not for `--help`."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from shards.command_line import ManyValuesCommand, ShardPattern, version_option
from shards.remote.cache import cache_options
from train.models.defaults import DEFAULTS, shown_default
from train.ranks.threads import wait_passively


def dashed(name: str) -> str:
    """Option names with underscores, as the reference spells them, mean the same with dashes."""
    return name.replace("_", "-")


def model_option(name: str, kind: click.ParamType, text: str) -> Callable[[Callable], Callable]:
    """An option whose default depends on the model (`train.models.defaults`)."""
    default = shown_default(name.removeprefix("--").replace("-", "_"))
    return click.option(name, type=kind, help=f"{text}  {default}")


_GROUPS = {
    "Data": ("shards", "val_shards", "fold_file", "test_fold", "val_fold", "recipe", "cache", "cache_gb"),
    "Run": ("run_dir", "resume", "check", "keep_every", "checkpoint_steps"),
    "Model": (
        *("model", "init", "cnn", "cnn_weights", "freeze_layers", "sequence_length", "temporal_stride", "image_size"),
        *("num_layers", "num_heads", "embed_size", "dropout"),
    ),
    "Optimization": (
        *("max_epochs", "patience", "batch_size", "accumulate_grad_batches", "learning_rate", "schedule"),
        *("lr_step_size", "warmup_epochs", "weight_decay", "gradient_clip_val", "label_smoothing", "ema_decay", "seed"),
    ),
    "Machine": ("num_workers", "device", "precision", "compiled"),
}


@click.command(
    cls=ManyValuesCommand,
    groups=_GROUPS,
    old_names={"--weights": "--cnn-weights", "--folds": "--fold-file"},
    context_settings={
        "show_default": True,
        "max_content_width": 110,
        "token_normalize_func": dashed,
        "help_option_names": ["-h", "--help"],
    },
)
@click.option(
    "--shards",
    required=True,
    type=ShardPattern(),
    multiple=True,
    help="Training shards: 'train-{000..099}.tar', a glob, or a folder; also https://…, s3://…, gs://…, pipe:…; "
    "several are one set.",
)
@click.option("--val-shards", type=ShardPattern(), multiple=True, help="Validation shards, likewise.")
@cache_options
@click.option(
    "--fold-file", type=click.Path(path_type=Path), help="CSV id,fold of `shards split`: train on some of --shards."
)
@click.option(
    "--test-fold", help="With --fold-file: the fold that is left out, for `predict` with the same two options."
)
@click.option("--val-fold", help="With --fold-file: the fold to validate on.")
@click.option(
    "--run-dir", type=click.Path(path_type=Path), help="Folder for checkpoints and logs; needed but for --check."
)
@click.option(
    "--model",
    type=click.Choice(list(DEFAULTS)),
    metavar=f"[{'|'.join(DEFAULTS)}]",
    default="VTN_HCPF",
    help="VTN_HCPF sees hand crops, VTN_HCPF_D depth, too, POSE keypoints alone.",
)
@click.option(
    "--recipe",
    type=click.Choice(("default", "reference")),
    help="The shards say their recipe; refuse those of another one than this.",
)
@click.option(
    "--init",
    type=click.Path(path_type=Path),
    help="Start from another run's best.pt; the head is taken by the names of the classes.",
)
@click.option(
    "--check", is_flag=True, help="Train nothing: overfit two batches, look at the labels, say what is wrong."
)
@click.option("--resume", is_flag=True, help="Go on with the run in --run-dir, exactly where it was.")
@model_option("--cnn", click.Choice(("rn18", "rn34", "small")), "ResNet for the crops; small: for trials on a CPU.")
@model_option(
    "--cnn-weights",
    click.STRING,
    "Its start: imagenet (torchvision's download), none, or a file: torchvision's, or another run's best.pt, of which "
    "only the ResNet is taken.",
)
@model_option("--sequence-length", click.IntRange(1), "Frames in a window; POSE: of a whole clip.")
@model_option("--temporal-stride", click.IntRange(1), "From one frame of the window to the next.")
@model_option("--image-size", click.IntRange(32), "Side of a crop as the ResNet sees it.")
@model_option("--num-layers", click.IntRange(1), "Self-attention blocks; POSE: blocks of convolutions.")
@model_option("--num-heads", click.IntRange(1), "Attention heads.")
@model_option("--embed-size", click.IntRange(1), "Features per hand, attention is twice as wide; POSE: of a frame.")
@model_option("--dropout", click.FloatRange(0, 1, max_open=True), "Before the classifier.")
@model_option("--freeze-layers", click.IntRange(0, 8), "First parts of the ResNet that stay as they are.")
@model_option("--batch-size", click.IntRange(1), "Samples per batch and process.")
@model_option("--accumulate-grad-batches", click.IntRange(1), "Batches per optimizer step.")
@model_option("--gradient-clip-val", click.FloatRange(0), "Largest gradient norm; 0: any.")
@model_option("--learning-rate", click.FloatRange(0, min_open=True), "Of the optimizer, Adam or AdamW.")
@model_option("--weight-decay", click.FloatRange(0), "AdamW's, decoupled.")
@model_option("--schedule", click.Choice(("step", "cosine")), "How the learning rate falls.")
@click.option("--lr-step-size", type=click.IntRange(1), default=5, help="Epochs between factors of 0.1.")
@model_option("--warmup-epochs", click.FloatRange(0), "Epochs of linear rise, before the schedule.")
@model_option("--label-smoothing", click.FloatRange(0, 1, max_open=True), "Share of a label spread over all classes.")
@click.option(
    "--ema-decay", type=click.FloatRange(0, 1, max_open=True), default=0.0, help="Of averaged weights; 0: none."
)
@model_option("--max-epochs", click.IntRange(1), "Epochs at most.")
@click.option("--patience", type=click.IntRange(1), default=10, help="Epochs without a lower validation loss.")
@click.option("--num-workers", type=click.IntRange(0), default=2, help="Loader processes per training process.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=42, help="Of weights, order and augmentation.")
@click.option("--precision", type=click.Choice(("fp32", "bf16")), help="[default: bf16 on a GPU, else fp32]")
@click.option("--device", help="As torch names it.  [default: cuda where there is one, else cpu]")
@click.option("--compile", "compiled", is_flag=True, help="Compile the model with torch.compile.")
@click.option(
    "--keep-every", type=click.IntRange(0), default=0, help="Keep a checkpoint every so many epochs; 0: none."
)
@click.option("--checkpoint-steps", type=click.IntRange(0), default=500, help="Write last.pt every so many steps, too.")
@version_option
def main(**options: Any) -> None:
    """Train a sign recognizer from shards. No video is decoded.

    Models and data follow the recipe that the shards were made with (`pipeline run --recipe`). The defaults are the
    published settings of the 2021 entry; on several GPUs, start it with torchrun. SIGTERM and SIGUSR1 write a
    checkpoint and end the run with status 0; the same command with --resume goes on, exactly.
    """
    wait_passively()
    from train.fit.session import train_command

    sys.exit(train_command(options))


if __name__ == "__main__":
    main()
