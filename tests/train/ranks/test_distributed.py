"""Two ranks on the CPU (gloo) against one process, and that none ever waits for the other."""

import csv
import fcntl
import os
import shutil
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from helpers.processes.train_runs import Run, tiny_arguments
from helpers.processes.train_runs import tiny_options as options

from shards.errors import InputError
from shards.format.recipe import REFERENCE
from train.fit.checkpoint import read_checkpoint
from train.ranks import distributed
from train.ranks.distributed import Ranks, choose_device

QUICK = options("--max-epochs 1 --batch-size 2 --accumulate-grad-batches 2 --num-workers 1")


@pytest.fixture
def folder(tmp_path):
    yield tmp_path
    shutil.rmtree(tmp_path)


def figures(run: Path) -> list[dict[str, float]]:
    with (run / "metrics.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_two_ranks_are_one_process_with_the_doubled_batch(made, folder):
    """Up to rounding, with the ResNet frozen: batch norm in training mode normalises over a rank's own samples, and
    dropout, off here, draws for them. 14 samples: every rank gets as much of the last batch as the other."""
    shards = made(splits={"train": 14, "val": 5})
    more = options("--freeze-layers 8 --max-epochs 2 --ema-decay 0.5 --label-smoothing 0.1 --learning-rate 1e-3")
    one = Run(folder / "one", *tiny_arguments(shards, folder / "1", *QUICK, *more, "--batch-size", 4), dropout=False)
    two = Run(folder / "two", *tiny_arguments(shards, folder / "2", *QUICK, *more), ranks=2, dropout=False)
    assert one.wait() == [0], one.said()
    assert two.wait() == [0, 0], two.said()
    for alone, shared in zip(figures(folder / "1"), figures(folder / "2"), strict=True):
        for name in ("train_loss", "train_top1", "val_loss", "val_top1", "val_top5", "val_class_mean"):
            assert shared[name] == pytest.approx(alone[name], rel=1e-4), name
    models = [read_checkpoint(folder / run / "last.pt").model for run in "12"]
    for name, value in models[0].items():
        # Measured: at most 8e-8, after 4 steps of 1e-3.
        torch.testing.assert_close(models[1][name], value, atol=1e-6, rtol=1e-5, msg=name)


@pytest.mark.parametrize(
    ("plan", "more"),
    [
        ({"splits": {"train": 3, "val": 1}}, "--batch-size 4"),
        ({"splits": {"train": 2, "val": 3}}, "--batch-size 1 --num-workers 3"),
        ({"splits": {"train": 3, "val": 2}}, "--sequence-length 1 --freeze-layers 8"),
        (
            {"splits": {"train": 5, "val": 3}, "depth": True, "recipe": REFERENCE},
            "--model VTN_HCPF_D --freeze-layers 8 --max-epochs 2",
        ),
    ],
    ids=["fewer than a batch", "a sample each", "unused layer norm", "unused second ResNet"],
)
def test_no_rank_waits_for_another(made, folder, plan, more):
    run = Run(folder / "output", *tiny_arguments(made(**plan), folder / "run", *QUICK, *options(more)), ranks=2)
    assert run.wait(120) == [0, 0], run.said() + run.said(1)
    assert run.said(1) == ""  # one speaks
    assert (folder / "run" / "best.pt").exists()


def test_fewer_samples_than_ranks_are_one_line(made, folder):
    shards = made(splits={"train": 1, "val": 1})
    run = Run(folder / "output", *tiny_arguments(shards, folder / "run", *QUICK), ranks=2)
    assert run.wait() == [2, 2]
    assert run.said().strip() == f"Error: {shards}/train-*.tar: 1 samples are fewer than 2 processes"


def test_a_run_folder_in_use_is_one_line(small, folder):
    (folder / "run").mkdir()
    with (folder / "run" / "train.lock").open("a+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)  # this process's
        run = Run(folder / "output", *tiny_arguments(small, folder / "run", *QUICK), ranks=2)
        assert run.wait() == [2, 2]
    expected = f"Error: {folder}/run/train.lock: another process works on this run folder; wait for its end, or stop it"
    assert [run.said(rank).strip() for rank in (0, 1)] == [expected] * 2
    assert [path.name for path in (folder / "run").iterdir()] == ["train.lock"]


def test_running_statistics_are_those_of_all_ranks(made, folder):
    """After one step, batch norm's running mean is that of one process with both ranks' samples."""
    shards = made(splits={"train": 4, "val": 2})
    more = options("--batch-size 2 --accumulate-grad-batches 1")
    two = Run(folder / "two", *tiny_arguments(shards, folder / "2", *QUICK, *more), ranks=2)
    one = Run(folder / "one", *tiny_arguments(shards, folder / "1", *QUICK, *more, "--batch-size", 4))
    assert two.wait() == [0, 0], two.said()
    assert one.wait() == [0], one.said()
    name = "feature_extractor.resnet.1.running_mean"
    alone, shared = (read_checkpoint(folder / run / "last.pt").model[name] for run in "12")
    torch.testing.assert_close(shared, alone, rtol=1e-4, atol=1e-6)
    assert alone.abs().max() > 1e-3


def test_torchrun(small, folder):
    """As docs/training.md has it, in a folder where a user has a `train.py` and a `tools/` of his own."""
    script = Path(sys.executable).with_name("train")
    if not script.exists():
        pytest.skip("the script `train` is not installed here")
    (folder / "train.py").write_text("raise SystemExit('this is not signshards')\n")
    (folder / "tools").mkdir()
    arguments = tiny_arguments(small, folder / "run", *QUICK, "--freeze-layers", 8)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, "--no-python", "train", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PATH": f"{script.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("epoch 1  loss") == 1
    assert figures(folder / "run")[0]["val_loss"] > 0


def test_one_process_needs_no_group():
    ranks = Ranks(0, 1, torch.device("cpu"))
    values = torch.tensor([1.0, 2.0])
    ranks.average([values])
    assert ranks.sum(values).tolist() == [1.0, 2.0]
    assert ranks.gather("a") == ["a"]
    assert ranks.first


@pytest.mark.parametrize(
    ("name", "part"), [("nonsense", "does not know it"), ("meta", "not supported"), ("cuda:99", "torch sees")]
)
def test_devices_that_are_not_there(name, part):
    with pytest.raises(InputError, match=part):
        choose_device(name)


def test_the_processor_can_always_be_asked_for():
    assert choose_device("cpu") == torch.device("cpu")


@pytest.fixture
def environment(monkeypatch):
    """Sets the variables that torchrun sets, and no others."""

    def change(**variables: str) -> None:
        for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return change


WHOLE = {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"}


@pytest.mark.parametrize(
    ("variables", "part"),
    [
        ({"WORLD_SIZE": ""}, "WORLD_SIZE='' in the environment is not a number"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE='0'"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE='two'"),
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE=2 is set, but RANK is not"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "MASTER_ADDR is not"),
        (WHOLE, "MASTER_PORT is not"),
        (WHOLE | {"MASTER_PORT": "x"}, "did not meet at 127.0.0.1:x"),
        (WHOLE | {"MASTER_PORT": "1", "RANK": "2"}, "RANK=2 is not below WORLD_SIZE=2"),
        (WHOLE | {"MASTER_PORT": "1", "RANK": "-1"}, "RANK='-1'"),
        ({"WORLD_SIZE": "1", "LOCAL_RANK": ""}, "LOCAL_RANK=''"),
    ],
)
def test_an_environment_that_is_left_over_is_one_line(environment, variables, part):
    environment(**variables)
    with pytest.raises(InputError, match="torchrun, or unset its variables") as error:
        distributed.start("cpu")
    assert part in error.value.message
    assert "\n" not in error.value.message


@pytest.mark.parametrize("rank", ["0", "1"])
def test_other_processes_that_do_not_come_are_one_line(environment, monkeypatch, capfd, rank):
    with socket.socket() as connection:
        connection.bind(("127.0.0.1", 0))
        port = str(connection.getsockname()[1])
    environment(**WHOLE | {"RANK": rank, "MASTER_PORT": port})
    monkeypatch.setattr(distributed, "MEETING_LIMIT", timedelta(seconds=2))
    monkeypatch.setattr(distributed, "NOTICE_SECONDS", 0.2)
    with pytest.raises(InputError, match=f"2 processes did not meet at 127.0.0.1:{port}") as error:
        distributed.start("cpu")
    assert "\n" not in error.value.message
    assert f"process {rank} waits for the others of 2 at 127.0.0.1:{port}, up to 2 s\n" in capfd.readouterr().err


def test_one_process_of_one_needs_no_meeting(environment):
    environment(WORLD_SIZE="1", RANK="0")
    assert distributed.start("cpu") == Ranks(0, 1, torch.device("cpu"))
