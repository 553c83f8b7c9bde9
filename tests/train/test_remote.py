"""`train` from a URL: cold and warm caches, two nodes with a cache each, no credentials in what it writes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from helpers.processes.faulty_server import FaultyServer, serving
from helpers.processes.train_runs import Run, free_port, tiny_arguments
from helpers.processes.train_runs import tiny_options as options

from train.fit.checkpoint import read_checkpoint

QUICK = options("--max-epochs 1 --batch-size 2 --accumulate-grad-batches 2 --num-workers 1 --freeze-layers 8")


@pytest.fixture
def server(small: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(small) as state:
        yield state


def from_url(url: str, run: Path, cache: Path) -> list[str]:
    """Options of a tiny run that reads the small set by URL."""
    local = tiny_arguments(Path("set"), run, *QUICK, "--cache", cache)
    return [argument.replace("set/", url) if argument.endswith(".tar") else argument for argument in local]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(run / "last.pt").model


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_a_cold_and_a_warm_cache_and_a_folder_train_the_same_weights(server, small, tmp_path):
    url = server.url.replace("http://", "http://me:secret@")
    for run in ("cold", "warm"):
        server.requests.clear()
        done = Run(tmp_path / f"{run}-output", *from_url(url, tmp_path / run, tmp_path / "cache"))
        assert done.wait() == [0], done.said()
        shards = [request.name for request in server.requests if request.name.endswith(".tar")]
        assert (len(shards) > 0) == (run == "cold")
        assert "secret" not in done.said()
    local = Run(tmp_path / "local-output", *tiny_arguments(small, tmp_path / "local", *QUICK))
    assert local.wait() == [0], local.said()
    assert_equal(weights(tmp_path / "cold"), weights(tmp_path / "warm"))
    assert_equal(weights(tmp_path / "cold"), weights(tmp_path / "local"))
    for path in (tmp_path / "cold").iterdir():
        assert b"secret" not in path.read_bytes(), path
    assert f"{server.url}train-*.tar" in (tmp_path / "cold" / "config.json").read_text()


@pytest.mark.slow
def test_two_torchrun_agents_with_a_cache_each(server, small, tmp_path):
    """As two nodes have it, on one machine. The weights are those of two ranks that read the folder."""
    port, agents = free_port(), []
    for node in (0, 1):
        command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--node-rank", str(node)]
        command += [
            "--nproc-per-node",
            "1",
            "--master-addr",
            "127.0.0.1",
            "--master-port",
            str(port),
            "-m",
            "train.cli",
        ]
        agents.append(
            subprocess.Popen(
                [*command, *from_url(server.url, tmp_path / "run", tmp_path / f"cache{node}")],
                cwd=Path(__file__).parents[2],
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    try:
        said = [agent.communicate(timeout=300)[1] for agent in agents]
    finally:
        for agent in agents:
            agent.kill()
    assert [agent.returncode for agent in agents] == [0, 0], said
    assert sorted(server.asked("train-000.tar")) == [0, 0]  # once for each cache
    local = Run(tmp_path / "output", *tiny_arguments(small, tmp_path / "local", *QUICK), ranks=2)
    assert local.wait() == [0, 0], local.said()
    assert_equal(weights(tmp_path / "run"), weights(tmp_path / "local"))
