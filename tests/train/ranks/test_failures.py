"""A rank that fails ends the others: real processes, of which one fails and the other hangs, or works on."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.processes.train_runs import Run, free_port, tiny_arguments
from helpers.processes.train_runs import tiny_options as options

from shards.format.index import scan_shard

QUICK = options("--max-epochs 1 --batch-size 2 --accumulate-grad-batches 1 --num-workers 1 --freeze-layers 8")


def damage(folder: Path, sample: str) -> Path:
    """Make the first JPEG of a sample unreadable; sizes stay."""
    for path in sorted(folder.glob("train-*.tar")):
        for row in scan_shard(path):
            if row["id"] == sample:
                with path.open("r+b") as file:
                    file.seek(row["left_offset"])
                    file.write(bytes(row["left_size"]))
                return path
    raise LookupError(sample)


def test_a_shard_that_one_rank_cannot_read_ends_both_with_its_reason(small, tmp_path):
    shards = Path(shutil.copytree(small, tmp_path / "shards"))
    path = damage(shards, "train_sample4")
    run = Run(tmp_path / "output", *tiny_arguments(shards, tmp_path / "run", *QUICK), ranks=2)
    assert run.wait(300) == [2, 2], run.said() + run.said(1)
    said = [run.said(rank) for rank in (0, 1)]
    failed = [rank for rank in (0, 1) if "failed" not in said[rank]]
    assert len(failed) == 1  # who read it says it in its own words
    for rank in (0, 1):
        assert "train_sample4" in said[rank], rank
        assert path.name in said[rank], rank
    assert f"process {failed[0]} of 2 failed" in said[1 - failed[0]]
    assert "Traceback" not in said[0] + said[1]


FAIL_OR_HANG = """
import sys, time
import train.ranks.failures as failures
from shards.errors import InputError
from train.ranks import distributed

failures._GRACE_SECONDS = 1.0
ranks = distributed.start("cpu")
with failures.failing_together(ranks):
    if ranks.rank:
        raise InputError("a loss of nan")
    time.sleep(600)  # as a rank that waits for a GPU: no exception reaches it
"""


def start(rank: int, port: int, folder: Path, *command: str) -> subprocess.Popen:
    """One of two ranks, in a folder of its own."""
    environment = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "RANK": str(rank)}
    environment |= {"PYTHONPATH": str(Path(__file__).parents[3]), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *command], cwd=folder, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True
    )


def ends(processes: list[subprocess.Popen]) -> list[tuple[int, str]]:
    """Exit statuses and what they wrote; an error where one is still there after five minutes."""
    try:
        said = [process.communicate(timeout=300)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, text) for process, text in zip(processes, said, strict=True)]


def test_a_rank_that_hangs_is_ended(tmp_path):
    port = free_port()
    (status, said), (other, _) = ends([start(rank, port, tmp_path, "-c", FAIL_OR_HANG) for rank in (0, 1)])
    assert status == 2
    assert said.endswith("Error: process 1 of 2 failed: a loss of nan\n")
    assert other == 1  # a traceback: this program shows no error in one line


@pytest.mark.parametrize("other", ["unlike", pytest.param("missing", marks=pytest.mark.slow)])
def test_ranks_that_see_other_shards_are_refused(made, tmp_path, other):
    """Two ranks with a folder each, under one name, as nodes with copies of their own have it."""
    sets = [made(splits={"train": 4, "val": 2}), made(splits={"train": 4, "val": 2}, seed=1)]
    port, processes = free_port(), []
    for rank in (0, 1):
        folder = tmp_path / f"node{rank}"
        folder.mkdir()
        if not (rank and other == "missing"):
            (folder / "shards").symlink_to(sets[rank])
        arguments = tiny_arguments(Path("shards"), tmp_path / "run", *QUICK)
        processes.append(start(rank, port, folder, "-m", "train.cli", *arguments))
    (status, said), (other_status, other_said) = ends(processes)
    assert (status, other_status) == (2, 2)
    expected = "process 1 reads other shards" if other == "unlike" else "no such shard"
    assert expected in said
    assert expected in other_said
    assert not (tmp_path / "run" / "config.json").exists()
