"""The `pipeline` command. Heavy imports wait until a command runs: `import pipeline.cli` takes some 50 ms."""

import sys
from pathlib import Path

import click

from pipeline.workspace.paths import STAGES
from shards.command_line import Commands, ManyValuesCommand, NumberPair, file_patterns, settings_from, version_option

_LAYOUTS = ("folders", "autsl", "wlasl", "msasl", "asl-citizen", "lsa64", "karsl", "include", "slr500", "gsl", "gislr")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@version_option
def main() -> None:
    """Turn sign-language clips into WebDataset shards of hand crops, once, on CPUs.

    Exit status: 0 done; 2 the command line or an input file is wrong; 3 finished, but some clips failed (they are
    named, with reasons); 1 anything else.
    """


@main.command(context_settings={"show_default": True})
@click.argument("layout", type=click.Choice(_LAYOUTS))
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), callback=file_patterns())
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Clip list to write, for pipeline run --data."
)
@click.option("--classes-out", type=click.Path(path_type=Path), help="Class names to write: CSV ClassId,NAME.")
@click.option(
    "--missing",
    type=click.Choice(("skip", "fail")),
    help="Leave clips out that are not on the disk, or write nothing.  [default: list them, with a warning]",
)
@click.option(
    "--pattern",
    help="For folders: path of a clip, e.g. '{split}/{signer}_{rep}_{label}'; {rep:d} is digits.",
)
@click.option(
    "--assign", type=click.Path(path_type=Path), help="Splits by id: CSV id,split, as `shards split` writes it."
)
def clips(
    layout: str,
    paths: tuple[Path, ...],
    out: Path,
    classes_out: Path | None,
    missing: str | None,
    pattern: str | None,
    assign: Path | None,
) -> None:
    """List the clips of a data set in its own form, for `pipeline run --data`, and report what is missing or odd.

    LAYOUT says whose form it is; PATHS are its lists, and the folders that hold them or the clips. `folders` takes
    <class>/<clip>, <split>/<class>/<clip>, <class>/<signer>/<clip>, or what --pattern says; a clip is a video, a folder
    of numbered pictures, or keypoints.
    """
    from pipeline.lists.command import clips_command

    clips_command(layout, paths, out, classes_out, missing, pattern, assign)


_RUN_GROUPS = {
    "Clips": ("data", "labels", "classes", "no_depth", "depth_range", "damaged"),
    "Run": ("work", "stage", "jobs", "scheduler", "part", "ffmpeg"),
    "Keypoints": (
        *("pose", "openpose_bin", "openpose_models", "rtmw_detector", "rtmw_model", "no_face", "gpus"),
        *("keypoints", "keypoint_layout", "person", "picture_size", "mirrored", "poseflow"),
    ),
    "Shards": ("shards_out", "samples_per_shard", "recipe", "quality"),
}


@main.command(
    cls=ManyValuesCommand,
    groups=_RUN_GROUPS,
    old_names={"--shards": "--shards-out"},
    context_settings={"show_default": True},
)
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="AUTSL tree ({train,val,test}/<id>_color.mp4, <id>_depth.mp4), or a clip list: CSV with the columns id, split,"
    " signer, label, color, and perhaps depth, keypoints, start, end.",
)
@click.option(
    "--work", required=True, type=click.Path(path_type=Path), help="Workspace: intermediate results, ledgers."
)
@click.option(
    "--labels", type=click.Path(path_type=Path), help="Headerless CSV id,class or id,class,split; or a clip list."
)
@click.option("--classes", type=click.Path(path_type=Path), help="Class names: CSV with the header ClassId,NAME[,EN].")
@click.option(
    "--stage",
    multiple=True,
    type=click.Choice(("all", *STAGES)),
    default=("all",),
    help="Stage to run; may be given several times.",
)
@click.option(
    "--pose",
    type=click.Choice(("openpose", "mediapipe", "rtmw", "import")),
    help="Source of keypoints.  [default: import with --keypoints, else OpenPose where its binary is, else MediaPipe]",
)
@click.option("--openpose-bin", help="OpenPose's binary.  [default: $OPENPOSE_BIN, else openpose.bin on PATH]")
@click.option("--openpose-models", type=click.Path(path_type=Path), help="OpenPose's models folder.")
@click.option("--rtmw-detector", type=click.Path(path_type=Path), help="YOLOX model of people for RTMW, ONNX.")
@click.option("--rtmw-model", type=click.Path(path_type=Path), help="RTMW model of whole bodies, ONNX.")
@click.option("--no-face", is_flag=True, help="MediaPipe without the points of the face: less work.")
@click.option(
    "--keypoints",
    type=click.Path(path_type=Path),
    help="Keypoints that are there already: a folder with a file or folder <id>… of a known layout for each clip, a tar"
    " of OpenPose's JSON, or the first part of a split one.",
)
@click.option("--keypoint-layout", metavar="NAME", help="Layout of the keypoint files.  [default: found by looking]")
@click.option(
    "--person",
    type=click.Choice(("first", "largest", "central")),
    help="Of several people, in keypoint files or for RTMW: whom to follow from frame 0 on.  [default: largest]",
)
@click.option(
    "--picture-size", type=NumberPair(int, "x"), metavar="WxH", help="Of clips without video: what fractions are of."
)
@click.option("--mirrored", is_flag=True, help="The frames were mirrored before keypoints were estimated (SAM-SLR).")
@click.option(
    "--poseflow",
    type=click.Path(path_type=Path),
    help="Released pose flow (kpflow2.tar.bz2 or its first part) instead of computing it; for --recipe reference.",
)
@click.option(
    "--gpus",
    callback=lambda context, option, value: tuple(gpu for gpu in (value or "").split(",") if gpu),
    help="GPUs for OpenPose or RTMW, e.g. 0,1: clips go round.  [default: what CUDA shows]",
)
@click.option(
    "--recipe",
    type=click.Choice(("default", "reference")),
    default="default",
    help="`reference` reproduces the 2021 entry's quirks, for its released checkpoints.",
)
@click.option("--jobs", type=click.IntRange(min=1), help="Processes.  [default: the number of cores]")
@click.option("--scheduler", help="Dask scheduler, tcp://HOST:PORT: run on its workers.  [default: local processes]")
@click.option("--part", help="I/N: only part I of N of the clips, with no shards; N drivers may run side by side.")
@click.option("--shards-out", type=click.Path(path_type=Path), help="Folder for the shards.  [default: WORK/shards]")
@click.option("--samples-per-shard", type=click.IntRange(min=1), help="Samples in a tar.  [default: 256]")
@click.option("--quality", type=click.IntRange(1, 100), default=95, help="JPEG quality of the crops.")
@click.option("--no-depth", is_flag=True, help="Leave the depth videos out.")
@click.option(
    "--depth-range",
    type=NumberPair(float, ","),
    metavar="NEAR,FAR",
    help="Values (millimetres) of depth videos of more than 8 bits that become black and white.",
)
@click.option(
    "--damaged",
    type=click.Choice(("fail", "take")),
    default="fail",
    help="Clips that are cut short or damaged: fail, or take what can be decoded.",
)
@click.option(
    "--ffmpeg", help="FFmpeg to use, 5.1 or later.  [default: $IMAGEIO_FFMPEG_EXE, else the imageio-ffmpeg wheel's]"
)
def run(**options: object) -> None:
    """Run the stages over all clips; what is done already, with the same settings and inputs, is skipped."""
    from pipeline.options import RunOptions
    from pipeline.run import run_command

    sys.exit(run_command(settings_from(options, RunOptions)))


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
    from pipeline.demo.demo import run_demo

    run_demo(out)


if __name__ == "__main__":
    main()
