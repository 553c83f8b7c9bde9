"""The `pipeline` command. Heavy imports wait until a command runs: `import pipeline.cli` takes some 50 ms."""

import sys
from pathlib import Path

import click

from shards.command_line import Commands
from shards.format.dataset import SAMPLES_PER_SHARD

_STAGES = ("frames", "keypoints", "poseflow", "handcrops", "shards")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Turn sign-language clips into WebDataset shards of hand crops, once, on CPUs.

    Exit status: 0 done; 2 the command line or an input file is wrong; 3 finished, but some clips failed (they are
    named, with reasons); 1 anything else.
    """


@main.command(context_settings={"show_default": True})
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="AUTSL tree ({train,val,test}/<id>_color.mp4, <id>_depth.mp4), or a CSV id,split,signer,label,color[,depth].",
)
@click.option(
    "--work", required=True, type=click.Path(path_type=Path), help="Workspace: intermediate results, ledgers."
)
@click.option("--labels", type=click.Path(path_type=Path), help="Headerless CSV id,class or id,class,split.")
@click.option("--classes", type=click.Path(path_type=Path), help="Class names: CSV with the header ClassId,NAME[,EN].")
@click.option(
    "--stage",
    "stages",
    multiple=True,
    type=click.Choice(("all", *_STAGES)),
    default=("all",),
    help="Stage to run; may be given several times.",
)
@click.option(
    "--pose",
    type=click.Choice(("openpose", "mediapipe", "import")),
    help="Source of keypoints.  [default: import with --keypoints, else OpenPose where its binary is, else MediaPipe]",
)
@click.option("--openpose-bin", help="OpenPose's binary.  [default: $OPENPOSE_BIN, else openpose.bin on PATH]")
@click.option("--openpose-models", type=click.Path(path_type=Path), help="OpenPose's models folder.")
@click.option(
    "--keypoints",
    type=click.Path(path_type=Path),
    help="Keypoints for --pose import: a folder with <id>_color.kp folders, a tar, or the first part of a split one.",
)
@click.option(
    "--poseflow",
    type=click.Path(path_type=Path),
    help="Released pose flow (kpflow2.tar.bz2 or its first part) instead of computing it; for --recipe reference.",
)
@click.option("--gpus", help="GPUs for OpenPose, e.g. 0,1: clips go round.  [default: what CUDA shows]")
@click.option(
    "--recipe",
    type=click.Choice(("default", "reference")),
    default="default",
    help="`reference` reproduces the 2021 entry's quirks, for its released checkpoints.",
)
@click.option("--jobs", type=click.IntRange(min=1), help="Processes.  [default: the number of cores]")
@click.option("--scheduler", help="Dask scheduler, tcp://HOST:PORT: run on its workers.  [default: local processes]")
@click.option("--part", help="I/N: only part I of N of the clips, with no shards; N drivers may run side by side.")
@click.option("--shards", type=click.Path(path_type=Path), help="Folder for the shards.  [default: WORK/shards]")
@click.option(
    "--samples-per-shard", type=click.IntRange(min=1), help=f"Samples in a tar.  [default: {SAMPLES_PER_SHARD}]"
)
@click.option("--quality", type=click.IntRange(1, 100), default=95, help="JPEG quality of the crops.")
@click.option("--no-depth", is_flag=True, help="Leave the depth videos out.")
@click.option(
    "--ffmpeg", help="FFmpeg to use, 5.1 or later.  [default: $IMAGEIO_FFMPEG_EXE, else the imageio-ffmpeg wheel's]"
)
def run(**options: object) -> None:
    """Run the stages over all clips; what is done already, with the same settings and inputs, is skipped."""
    from pipeline.options import run_command

    sys.exit(run_command(**options))


@main.command(context_settings={"show_default": True})
@click.option("--work", required=True, type=click.Path(path_type=Path), help="Workspace of `pipeline run`.")
@click.option("--failed", is_flag=True, help="Only the failed clips, with their reasons.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def status(work: Path, failed: bool, as_json: bool) -> None:
    """Show what is done, failed and to do, per stage."""
    from pipeline.status import show_status

    show_status(work, failed, as_json)


@main.command(context_settings={"show_default": True})
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo"), help="Folder for everything it makes.")
def demo(out: Path) -> None:
    """Main job on GENERATED clips: every stage, train, predict unseen signers, evaluate with a report. No GPU, no
    OpenPose, no network.

    The clips are drawn, not filmed: the result says that the parts work together, nothing about real signs.
    """
    from pipeline.demo.run import run_demo

    run_demo(out)


if __name__ == "__main__":
    main()
