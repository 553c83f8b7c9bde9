"""`pipeline demo`: the main job from beginning to end, on generated clips, by the commands that users type."""

import os
import shlex
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import click

from pipeline.demo.generate import DemoSettings, generate
from shards.errors import InputError

# Small enough for two cores and no pretrained weights: eight 32-pixel crops per hand, spread over 29 frames.
_MODEL = "--cnn rn18 --weights none --image-size 32 --sequence-length 8 --temporal-stride 4"
_ATTENTION = "--num-layers 2 --num-heads 4 --embed-size 128"
_SCHEDULE = "--learning-rate 3e-4 --schedule cosine --warmup-epochs 1 --max-epochs 30 --patience 30"
_CLIPS = DemoSettings()
_TRAINING = f"{_MODEL} {_ATTENTION} {_SCHEDULE} --batch-size 4 --accumulate-grad-batches 1 --num-workers 1"


def run_demo(out: Path, settings: DemoSettings = _CLIPS, training: str = _TRAINING) -> None:
    """Generate clips under `out`, run every stage, train, predict signers that were not trained on, write a report.

    Args:
        out: folder for everything; what an earlier call has done there is kept.
        settings: of the clips.
        training: options of `train`, as they are typed.

    Raises:
        InputError: the [train] extra is not installed, or a command failed.
    """
    if find_spec("torch") is None:
        raise InputError("pipeline demo trains a model, which needs torch: pip install 'signshards[train]'")
    start = time.monotonic()
    click.echo("The clips of this demo are GENERATED: drawn figures with made-up signs, not filmed people.")
    clips, work, run, report = (out / name for name in ("clips", "work", "run", "report"))
    generate(clips, settings, len(os.sched_getaffinity(0)))
    _command("pipeline.cli", "run", "--data", clips / "mp4", "--labels", clips / "labels.csv", "--classes",
             clips / "classes.csv", "--pose", "import", "--keypoints", clips / "kp", "--work", work)  # fmt: skip
    shards = work / "shards"
    resume = ["--resume"] if (run / "config.json").exists() else []
    _command("train.cli", "--shards", shards / "train-*.tar", "--val-shards", shards / "val-*.tar", "--run-dir", run,
             *training.split(), *resume)  # fmt: skip
    unseen, logits = shards / "test-*.tar", out / "logits.npz"
    _command("train.predict.cli", "--checkpoint", run / "best.pt", "--shards", unseen, "--mirror",
             "--out", out / "predictions.csv", "--save-logits", logits)  # fmt: skip
    click.echo(f"\nSigners that the model has never seen, {time.monotonic() - start:.0f} s after the start:")
    _command("train.evaluate.cli", "--logits", logits, "--labels", clips / "labels.csv", "--shards", unseen,
             "--report", report)  # fmt: skip
    click.echo(f"\nThe report, with the hands of the worst mistakes: {report / 'index.html'}")
    click.echo("These clips are generated; its figures say that the parts work together, nothing about real signs.")


def _command(module: str, *arguments: str | Path) -> None:
    """Run one of our commands as a process of its own, as a user would, after showing it."""
    words = [str(argument) for argument in arguments]
    name = {"pipeline.cli": "pipeline", "train.cli": "train"}.get(module, module.split(".")[1].removesuffix("_cli"))
    click.echo(f"\n$ {name} {shlex.join(words)}")
    sys.stdout.flush()
    status = subprocess.run([sys.executable, "-m", module, *words], check=False).returncode
    if status:
        raise InputError(f"`{name}` ended with status {status}; see above")
