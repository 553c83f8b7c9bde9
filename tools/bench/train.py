"""Training from shards: how much of the time the step has a batch to work on, by the number of loader processes.

`train` runs as a user would run it; its `metrics.csv` has the samples per second of every epoch, and the share of the
time in which the step waited for a batch. One minus that share is the "of limit" of these tables, the limit being a
loader that is always ahead.
"""

import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import torch

from shards.errors import InputError
from tools.bench.data import BenchData, grow
from tools.bench.timing import Measurement, Table

# On a CPU a small model; on a GPU the published one, in batches as large as people take where memory allows.
SMALL = "--cnn small --image-size 64 --batch-size 2 --device cpu"
PUBLISHED = "--batch-size 32 --device cuda"
MEGABYTES = 2500  # of shards that a GPU trains on


def tables(data: BenchData, rounds: int) -> Iterator[Table]:
    """Both models."""
    gpu = torch.cuda.is_available()
    with tempfile.TemporaryDirectory(prefix="signshards-bench-", dir=data.work.parent) as scratch:
        shards = data.shards
        if gpu:
            shards = Path(scratch, "large")
            grow(data.shards, shards, MEGABYTES)
        for model in ("VTN_HCPF", "VTN_HCPF_D"):
            yield _table(model, shards, Path(scratch), gpu, rounds)


def _table(model: str, shards: Path, scratch: Path, gpu: bool, rounds: int) -> Table:
    cores = len(os.sched_getaffinity(0))
    place = torch.cuda.get_device_name() if gpu else "CPU, small ResNet at 64 pixels"
    title, rows = f"training {model}, {place}", []
    for workers in [count for count in (1, 2, 4, 8, 12, 16) if count <= cores] if gpu else [1]:
        click.echo(f"{title}: {workers} workers", err=True)
        options = ["--model", model, *(PUBLISHED if gpu else SMALL).split(), "--num-workers", str(workers)]
        epochs = _metrics(shards, scratch / f"{model}-{workers}", [*options, "--max-epochs", str(rounds + 1)])[1:]
        name = f"--num-workers {workers}"
        seconds = [1 / float(epoch["samples_per_second"]) for epoch in epochs]
        rows.append(Measurement(name, seconds, [1 - float(epoch["waiting"]) for epoch in epochs], "≥ 0.97 on a GPU"))
    return Table(title, "sample", rows)


def _metrics(shards: Path, run: Path, options: list[str]) -> list[dict[str, str]]:
    """The rows of `metrics.csv`; the first epoch's has the start of workers and kernels in it.

    Raises:
        InputError: `train` failed.
    """
    fixed = ["--shards", f"{shards}/train-*.tar", "--cnn-weights", "none", "--accumulate-grad-batches", "1"]
    command = [sys.executable, "-m", "train.cli", *fixed, "--run-dir", str(run), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"`train` ended with status {done.returncode}:\n{done.stderr}")
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))
