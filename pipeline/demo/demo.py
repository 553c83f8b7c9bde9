"""`pipeline demo`: the main job from beginning to end, on generated clips, by the commands that users type."""

import csv
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import click

from pipeline.demo.generate import DemoSettings, generate
from pipeline.errors import RunError
from pipeline.workers.signals import StoppedBySignal, stop_on_signals
from shards.command_line import print_line
from shards.errors import InputError
from shards.files import write_whole

# Small enough for two cores and no pretrained weights: eight 32-pixel crops per hand, spread over 29 frames.
_MODEL = "--cnn small --cnn-weights none --image-size 32 --sequence-length 8 --temporal-stride 4"
_ATTENTION = "--num-layers 2 --num-heads 4 --embed-size 128"
_SCHEDULE = "--learning-rate 1e-3 --schedule cosine --warmup-epochs 1 --max-epochs 40 --patience 40"
_CLIPS = DemoSettings()
_MODULES = {
    "pipeline": "pipeline.cli",
    "train": "train.cli",
    "predict": "train.predict.cli",
    "evaluate": "train.evaluate.cli",
}
_TRAINING = f"{_MODEL} {_ATTENTION} {_SCHEDULE} --batch-size 4 --accumulate-grad-batches 1 --num-workers 1"
# 96 clips are two batches of the usual size: too few steps.
_POSE_TRAINING = "--model POSE --batch-size 16 --patience 40 --num-workers 1"


def run_demo(
    out: Path, settings: DemoSettings = _CLIPS, training: str = _TRAINING, pose_training: str = _POSE_TRAINING
) -> None:
    """Generate clips under `out`, run every stage, train a model of crops and one of keypoints, predict signers that
    were not trained on, write a report.

    Args:
        out: folder for everything; what an earlier call has done there is kept.
        settings: of the clips.
        training: options of `train` for the model of crops, as they are typed.
        pose_training: likewise for that of keypoints.

    Raises:
        InputError: the [train] extra is not installed.
        RunError: SIGINT or SIGTERM; the command under way has been ended.
        SystemExit: a command failed; with its exit status.
    """
    if find_spec("torch") is None:
        raise InputError("pipeline demo trains a model, which needs torch: pip install 'signshards[train]'")
    click.echo("The clips of this demo are GENERATED: drawn figures with made-up signs, not filmed people.")
    try:
        with stop_on_signals():
            _run(out, settings, {"run": training, "run_pose": pose_training})
    except StoppedBySignal as stop:
        raise RunError(f"stopped by {stop}; the same command goes on from here") from stop


def _run(out: Path, settings: DemoSettings, trainings: dict[str, str]) -> None:
    """`trainings`: by the name of the run's folder, the options."""
    start = time.monotonic()
    clips, work, test_labels = (out / name for name in ("clips", "work", "test_labels.csv"))
    shards = work / "shards"
    generate(clips, settings, len(os.sched_getaffinity(0)))
    _command("pipeline", "run", "--data", clips / "mp4", "--labels", clips / "labels.csv", "--classes",
             clips / "classes.csv", "--pose", "import", "--keypoints", clips / "kp", "--work", work)  # fmt: skip
    for name, options in trainings.items():
        resume = ["--resume"] if (out / name / "config.json").exists() else []
        _command("train", "--shards", shards / "train-*.tar", "--val-shards", shards / "val-*.tar", "--run-dir",
                 out / name, *options.split(), *resume)  # fmt: skip
    models = {"crops": ["run"], "skeleton": ["run_pose"], "both": ["run", "run_pose"]}
    for name, runs in models.items():
        checkpoints = [word for run in runs for word in ("--checkpoint", out / run / "best.pt")]
        _command("predict", *checkpoints, "--shards", shards / "test-*.tar", "--mirror",
                 "--out", out / f"{name}.csv", "--save-logits", out / f"{name}.npz")  # fmt: skip
    rows = (clips / "labels.csv").read_text().splitlines(keepends=True)
    write_whole(test_labels, "".join(row for row in rows if row.endswith(",test\n")).encode())
    _command("evaluate", "--logits", out / "both.npz", "--labels", test_labels, "--shards", shards / "test-*.tar",
             "--report", out / "report")  # fmt: skip
    click.echo(f"\nSigners that the models have never seen, {time.monotonic() - start:.0f} s after the start:\n")
    for line in score_table({name: out / f"{name}.csv" for name in models}, test_labels):
        click.echo(line)
    click.echo(f"\nThe report of both, with the hands of the worst mistakes: {out / 'report' / 'index.html'}")
    click.echo("These clips are generated; its figures say that the parts work together, nothing about real signs.")


def score_table(predictions: Mapping[str, Path], labels: Path) -> list[str]:
    """How many answers of each model are right, and how many would be by guessing.

    Args:
        predictions: by the model's name, CSV `id,class`.
        labels: CSV `id,class,split` of the same samples.
    """
    truth = {row[0]: row[1] for row in csv.reader(labels.read_text().splitlines())}
    rows: list[tuple[str, float]] = []
    for name, path in predictions.items():
        answers = csv.reader(path.read_text().splitlines())
        rows.append((name, sum(truth[sample_id] == label for sample_id, label in answers)))
    rows.append(("chance", len(truth) / len(set(truth.values()))))
    return [f"  {name:<10}{hits:5.4g} of {len(truth)}{hits / len(truth):8.1%}" for name, hits in rows]


def _command(name: str, *arguments: str | Path) -> None:
    """Run one of our commands as a process of its own, as a user would, after showing it."""
    words = [str(argument) for argument in arguments]
    click.echo(f"\n$ {name} {shlex.join(words)}")
    sys.stdout.flush()
    # From 3.11 on, Python then does not look in the working directory, where a user may have a `train.py`.
    ours = f"{Path(__file__).parents[2]}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    environment = os.environ | {"PYTHONSAFEPATH": "1", "PYTHONPATH": ours.rstrip(os.pathsep)}
    with subprocess.Popen([sys.executable, "-m", _MODULES[name], *words], env=environment) as process:
        try:
            status = process.wait()
        except StoppedBySignal:
            process.terminate()  # leaving the block waits for its end
            raise
    if status:
        print_line(f"Error: `{name}` ended with status {status}; see above", err=True)
        sys.exit(status if status > 0 else 1)  # below 0: killed by a signal
