"""Runs that are interrupted and go on, against runs that nothing disturbed: the same bits in the end."""

import csv
import os
import random
import re
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.processes.train_runs import Run, tiny_arguments, tiny_options

TIMES = {"samples_per_second", "waiting", "seconds"}
# Accumulation, schedule, averaging, early stopping (the rate is so high that validation soon gets worse), dropout.
OPTIONS = tiny_options(
    "--batch-size 2 --accumulate-grad-batches 2 --schedule cosine --warmup-epochs 1 --learning-rate 0.02",
    "--ema-decay 0.5 --dropout 0.2 --label-smoothing 0.1 --weight-decay 0.01 --max-epochs 8 --patience 2",
    "--checkpoint-steps 2 --num-workers 1",
)
# A frozen ResNet: a third of the time, and checkpoints of half the size.
FROZEN = [*OPTIONS, *tiny_options("--freeze-layers 8 --learning-rate 0.4 --warmup-epochs 8 --patience 1")]


@pytest.fixture(scope="module")
def shards(made):
    """13 train samples: 4 steps per epoch, the last with one sample; a validation that can be hit."""
    return made(splits={"train": 13, "val": 30})


def everything(checkpoint: dict) -> dict:
    """A checkpoint as flat names and values."""

    def flat(value, name=""):
        if isinstance(value, dict):
            for key, part in value.items():
                yield from flat(part, f"{name}/{key}")
        elif isinstance(value, list):
            for number, part in enumerate(value):
                yield from flat(part, f"{name}/{number}")
        else:
            yield name, value

    return dict(flat(checkpoint))


def assert_same_checkpoint(run, other, name="last.pt") -> None:
    assert_same(*(torch.load(folder / name, weights_only=True) for folder in (run, other)))


def assert_same(checkpoint: dict, other: dict) -> None:
    one, two = everything(checkpoint), everything(other)
    assert one.keys() == two.keys()
    for key, value in one.items():
        same = torch.equal(value, two[key]) if isinstance(value, torch.Tensor) else value == two[key]
        assert same, key


def figures(run) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return [{name: value for name, value in row.items() if name not in TIMES} for row in csv.DictReader(file)]


def assert_same_run(run, other) -> None:
    assert figures(run) == figures(other)
    assert_same_checkpoint(run, other)
    assert_same_checkpoint(run, other, "best.pt")


def go_on(shards, folder, options, *more) -> Run:
    return Run(folder / "output", *tiny_arguments(shards, folder / "run", *options, *more))


def whole_run(shards, folder, options):
    """The folder of a run that nothing disturbs, and that stops early."""
    run = go_on(shards, folder, options)
    assert run.wait() == [0], run.said()
    assert "stopping early" in run.said()
    assert 2 <= len(figures(folder / "run")) < 8
    return folder / "run"


@pytest.fixture(scope="module")
def undisturbed(shards, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    yield whole_run(shards, folder, FROZEN)
    shutil.rmtree(folder)  # a quarter of a gigabyte


def next_checkpoint(run, last) -> None:
    """Wait until `last` is written once more, or the run ends."""
    before = last.stat().st_mtime_ns if last.exists() else None
    run.until(lambda: last.exists() and last.stat().st_mtime_ns != before)


@pytest.fixture
def folder(tmp_path):
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random_moments(shards, folder, seed):
    """All weights are trained, batch norm included."""
    whole = whole_run(shards, folder / "whole", OPTIONS)
    draw, kills = random.Random(seed), 0
    last = folder / "run" / "last.pt"
    run = go_on(shards, folder, OPTIONS)
    next_checkpoint(run, last)  # before the first one there is nothing to go on from
    while run.processes[0].is_alive():
        # A moment by checkpoints, not by seconds: a fast machine would be at the end after two.
        if draw.random() < 0.5:
            next_checkpoint(run, last)
        run.processes[0].join(draw.uniform(0, 0.2))
        run.kill(draw.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1]))
        kills += 1
        assert run.wait()[0] in (0, -signal.SIGKILL), run.said()
        run = go_on(shards, folder, OPTIONS, "--resume")
        next_checkpoint(run, last)
    assert kills >= 3
    assert run.wait() == [0], run.said()
    assert_same_run(folder / "run", whole)
    # What the kills left half written is gone.
    assert not [path for path in (folder / "run").iterdir() if path.name.startswith(".")]


def test_killed_in_the_middle_of_an_epoch(shards, undisturbed, folder):
    run = go_on(shards, folder, FROZEN)
    run.until(lambda: (folder / "run" / "last.pt").exists())
    run.kill(signal.SIGKILL)
    assert run.wait() == [-signal.SIGKILL]
    position = torch.load(folder / "run" / "last.pt", weights_only=True)["training"]["progress"]["position"]
    assert 0 < position < 13
    run = go_on(shards, folder, FROZEN, "--resume")
    assert run.wait() == [0], run.said()
    assert_same_run(folder / "run", undisturbed)


@pytest.mark.parametrize(("number", "moment"), [(signal.SIGTERM, "epoch 2 "), (signal.SIGUSR1, "validation  ")])
def test_a_signal_stops_at_the_next_step_and_says_how_to_go_on(shards, undisturbed, folder, number, moment):
    """`epoch 2` is said when training ends and validation begins; `validation` when the next epoch begins."""
    run = go_on(shards, folder, FROZEN)
    run.until(lambda: moment in run.said())
    run.kill(number)
    assert run.wait() == [0]
    said = run.said()
    assert said.splitlines()[-1] == (
        f"stopped; {folder}/run/last.pt is written, and the same command with --resume goes on from here"
    )
    validations, epochs = (
        sum(line.startswith(begin) for line in said.splitlines()) for begin in ("validation  ", "epoch ")
    )
    assert validations == (1 if moment == "epoch 2 " else epochs)
    progress = torch.load(folder / "run" / "last.pt", weights_only=True)["training"]["progress"]
    assert progress["position"] == 13 if moment == "epoch 2 " else 0 < progress["position"] < 13
    run = go_on(shards, folder, FROZEN, "--resume")
    assert run.wait() == [0], run.said()
    assert_same_run(folder / "run", undisturbed)


def test_a_run_that_has_ended_stays_as_it_is(shards, undisturbed, folder):
    shutil.copytree(undisturbed, folder / "run")
    run = go_on(shards, folder, FROZEN, "--resume")
    assert run.wait() == [0], run.said()
    assert "stopping early" in run.said()
    assert not [line for line in run.said().splitlines() if line.startswith("epoch ")]
    assert_same_run(folder / "run", undisturbed)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_a_signal_to_the_loaders_workers_changes_nothing(shards, undisturbed, folder):
    """Slurm signals every process of a job."""
    run = go_on(shards, folder, FROZEN)
    trainer = run.processes[0].pid
    run.until(lambda: "validation  " in run.said() and children(trainer))
    workers = children(trainer)
    for pid in [*workers, trainer]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    assert run.wait() == [0], run.said()
    assert "same command with --resume" in run.said()
    run = go_on(shards, folder, FROZEN, "--resume")
    assert run.wait() == [0], run.said()
    assert_same_run(folder / "run", undisturbed)


def test_no_worker_outlives_a_killed_trainer(shards, folder):
    run = go_on(shards, folder, FROZEN, "--num-workers", 2)
    run.until(lambda: (folder / "run" / "last.pt").exists())
    trainer = run.processes[0].pid
    workers = children(trainer)
    run.kill(signal.SIGKILL)
    end = time.monotonic() + 20  # workers look for their parent every 5 seconds
    while time.monotonic() < end and any(map(alive, workers)):
        time.sleep(0.1)
    assert not any(map(alive, workers))


def test_two_ranks_stop_together_and_go_on_exactly(shards, folder):
    """Uneven: 13 samples for 2 ranks. The signal reaches the second rank only."""
    options = [*FROZEN, "--max-epochs", 2]
    whole = Run(folder / "whole", *tiny_arguments(shards, folder / "undisturbed", *options), ranks=2)
    assert whole.wait() == [0, 0], whole.said()
    # The line of an epoch has the figures of both.
    shown = re.findall(r"^epoch \d  loss (\S+)  accuracy (\S+)", whole.said(), re.MULTILINE)
    kept = [(row["train_loss"], row["train_top1"]) for row in figures(folder / "undisturbed")]
    assert np.array(shown, float) == pytest.approx(np.array(kept, float), abs=1e-4)
    for moment in ("epoch 1 ", "validation  "):
        shutil.rmtree(folder / "run", ignore_errors=True)
        run = Run(folder / "output", *tiny_arguments(shards, folder / "run", *options), ranks=2)
        run.until(lambda text=moment, run=run: text in run.said())
        run.kill(signal.SIGTERM, rank=1)
        assert run.wait() == [0, 0], run.said()
        assert run.said().count("same command with --resume") == 1
        assert run.said(1) == ""
        run = Run(folder / "output", *tiny_arguments(shards, folder / "run", *options, "--resume"), ranks=2)
        assert run.wait() == [0, 0], run.said()
        assert_same_run(folder / "run", folder / "undisturbed")


def test_an_epochs_figures_count_every_sample_once_also_for_another_number_of_processes(made, folder):
    """Two processes begin an epoch and one ends it. The rate is so low that every sample's answer stays the same."""
    shards = made(splits={"train": 48})
    options = [*tiny_options("--freeze-layers 8 --batch-size 1 --accumulate-grad-batches 1 --learning-rate 1e-30")]
    options += tiny_options("--max-epochs 1 --checkpoint-steps 1 --num-workers 1")

    def train(name: str, ranks: int, *more: object) -> Run:
        arguments = tiny_arguments(shards, folder / name, *options, *more, val=False)
        return Run(folder / "output", *arguments, ranks=ranks, dropout=False)

    whole = train("whole", 1)
    assert whole.wait() == [0], whole.said()
    run = train("run", 2)
    run.until((folder / "run" / "last.pt").exists)
    run.kill(signal.SIGTERM)
    assert run.wait() == [0, 0], run.said()
    progress = torch.load(folder / "run" / "last.pt", weights_only=True)["training"]["progress"]
    assert 0 < progress["position"] < 48
    assert progress["sums"][2] == progress["position"]
    run = train("run", 1, "--resume")
    assert run.wait() == [0], run.said()
    (expected,), (found,) = figures(folder / "whole"), figures(folder / "run")
    assert float(found["train_loss"]) == pytest.approx(float(expected["train_loss"]), rel=1e-4)
    assert float(found["train_top1"]) == pytest.approx(float(expected["train_top1"]), abs=1e-6)


def test_killed_while_it_writes_its_first_checkpoints(shards, folder, undisturbed):
    options = [*FROZEN, "--checkpoint-steps", 0]
    run = go_on(shards, folder, options)
    run.until((folder / "run" / "best.pt").exists)
    run.kill(signal.SIGKILL)
    assert (folder / "run" / "last.pt").exists()
    run.wait()
    run = go_on(shards, folder, options, "--resume")
    assert run.wait() == [0], run.said()
    assert_same_run(folder / "run", undisturbed)


def test_checkpoints_that_are_kept(shards, folder):
    run = go_on(shards, folder, FROZEN, "--keep-every", 2, "--max-epochs", 4, "--patience", 9)
    assert run.wait() == [0], run.said()
    names = {path.name for path in (folder / "run").glob("*.pt")}
    assert names == {"last.pt", "previous.pt", "best.pt", "epoch-0002.pt", "epoch-0004.pt"}
    loaded = {name: torch.load(folder / "run" / name, weights_only=True) for name in names}
    assert_same(loaded["epoch-0004.pt"], loaded["last.pt"])
    assert "training" not in loaded["best.pt"]
    assert loaded["epoch-0002.pt"]["training"]["progress"]["epoch"] == 2
    assert loaded["last.pt"]["training"]["progress"]["epoch"] == 4
    best = max(figures(folder / "run"), key=lambda row: (float(row["val_top1"]), -float(row["val_loss"])))
    kept = loaded["last.pt"]["training"]["progress"]
    assert f"{kept['best_top1']:.6g}" == best["val_top1"]
    # A run can go on from any of them.
    shutil.copy(folder / "run" / "epoch-0002.pt", folder / "run" / "last.pt")
    run = go_on(shards, folder, FROZEN, "--max-epochs", 4, "--patience", 9, "--resume")
    assert run.wait() == [0], run.said()
    assert_same(torch.load(folder / "run" / "last.pt", weights_only=True), loaded["last.pt"])
