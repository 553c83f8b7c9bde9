"""The `train` command. torch is imported when it runs, not for `--help`."""

import sys
from pathlib import Path
from typing import Any

import click

from shards.command_line import Command


def dashed(name: str) -> str:
    """Option names with underscores, as the reference spells them, mean the same with dashes."""
    return name.replace("_", "-")


@click.command(
    cls=Command,
    context_settings={
        "show_default": True,
        "max_content_width": 110,
        "token_normalize_func": dashed,
        "help_option_names": ["-h", "--help"],
    },
)
@click.option("--shards", required=True, help="Training shards: train-{000..099}.tar, a glob, or a folder.")
@click.option("--val-shards", help="Validation shards, likewise.")
@click.option("--run-dir", required=True, type=click.Path(path_type=Path), help="Folder for checkpoints and logs.")
@click.option(
    "--model",
    type=click.Choice(("VTN_HCPF", "VTN_HCPF_D")),
    metavar="[VTN_HCPF|VTN_HCPF_D]",
    default="VTN_HCPF",
    help="VTN_HCPF_D sees depth, too.",
)
@click.option(
    "--recipe",
    type=click.Choice(("default", "reference")),
    help="The shards say their recipe; refuse those of another one than this.",
)
@click.option("--resume", is_flag=True, help="Go on with the run in --run-dir, exactly where it was.")
@click.option(
    "--weights", default="imagenet", help="ResNet's start: imagenet (torchvision's download), none, or a file."
)
@click.option("--cnn", type=click.Choice(("rn18", "rn34")), default="rn34", help="ResNet for the crops.")
@click.option("--sequence-length", type=click.IntRange(1), default=16, help="Frames in a window.")
@click.option("--temporal-stride", type=click.IntRange(1), default=2, help="From one frame of the window to the next.")
@click.option("--image-size", type=click.IntRange(32), default=224, help="Side of a crop as the ResNet sees it.")
@click.option("--num-layers", type=click.IntRange(1), default=4, help="Self-attention blocks.")
@click.option("--num-heads", type=click.IntRange(1), default=8, help="Attention heads.")
@click.option(
    "--embed-size", type=click.IntRange(1), default=512, help="Features per hand; attention is twice as wide."
)
@click.option("--dropout", type=click.FloatRange(0, 1, max_open=True), default=0.0, help="Before the classifier.")
@click.option(
    "--freeze-layers", type=click.IntRange(0, 8), default=0, help="First parts of the ResNet that stay as they are."
)
@click.option("--batch-size", type=click.IntRange(1), default=4, help="Samples per batch and process.")
@click.option("--accumulate-grad-batches", type=click.IntRange(1), default=8, help="Batches per optimizer step.")
@click.option("--gradient-clip-val", type=click.FloatRange(0), default=1.0, help="Largest gradient norm; 0: any.")
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), default=1e-4)
@click.option("--weight-decay", type=click.FloatRange(0), default=0.0)
@click.option("--schedule", type=click.Choice(("step", "cosine")), default="step", help="How the learning rate falls.")
@click.option("--lr-step-size", type=click.IntRange(1), default=5, help="Epochs between factors of 0.1.")
@click.option("--warmup-epochs", type=click.IntRange(0), default=0, help="Epochs of linear rise, before the schedule.")
@click.option("--label-smoothing", type=click.FloatRange(0, 1, max_open=True), default=0.0)
@click.option(
    "--ema-decay", type=click.FloatRange(0, 1, max_open=True), default=0.0, help="Of averaged weights; 0: none."
)
@click.option("--max-epochs", type=click.IntRange(1), default=100)
@click.option("--patience", type=click.IntRange(1), default=10, help="Epochs without a lower validation loss.")
@click.option("--num-workers", type=click.IntRange(0), default=2, help="Loader processes per training process.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=42)
@click.option("--precision", type=click.Choice(("fp32", "bf16")), help="[default: bf16 on a GPU, else fp32]")
@click.option("--device", help="As torch names it.  [default: cuda where there is one, else cpu]")
@click.option("--compile", "compiled", is_flag=True, help="Compile the model with torch.compile.")
@click.option(
    "--keep-every", type=click.IntRange(0), default=0, help="Keep a checkpoint every so many epochs; 0: none."
)
@click.option("--checkpoint-steps", type=click.IntRange(0), default=500, help="Write last.pt every so many steps, too.")
def main(**options: Any) -> None:
    """Train a sign recogniser from shards. No video is decoded.

    Models and data follow the recipe that the shards were made with (`pipeline run --recipe`). The defaults are the
    published settings of the 2021 entry; on several GPUs, start it with torchrun. SIGTERM and SIGUSR1 write a
    checkpoint and end the run with status 0; the same command with --resume goes on, exactly.
    """
    from train.fit.options import train_command

    sys.exit(train_command(options))


if __name__ == "__main__":
    main()
