"""A real Dask scheduler and real workers on loopback."""

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from helpers.data.clip_making import run_pipeline
from helpers.processes.pipeline_runs import ROOT, clips, digests, fake_openpose, run, start, wait_until

from pipeline.errors import ClipError, RunError
from pipeline.workers.dask import Cluster
from pipeline.workers.local import Task
from pipeline.workspace.ledger import read_ledger_rows
from pipeline.workspace.row import DONE, FAILED, Made
from shards.errors import InputError

pytest.importorskip("distributed", reason="Dask is not installed (extra [cluster])")
# The workers find this module and `pipeline` here.
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{ROOT / 'tests' / 'pipeline' / 'workers'}"}


class LoopbackCluster:
    """A scheduler and workers, each a process; the workers have nannies that start them again."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._processes = folder, []
        scheduler = ["dask", "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        log = self._start("scheduler", [*scheduler, "--no-show", "--scheduler-file", str(folder / "scheduler.json")])
        wait_until(lambda: re.search(r"Scheduler at:\s*tcp:", log.read_text()), 60)
        self.address = re.search(r"Scheduler at:\s*(tcp://\S+)", log.read_text())[1]

    def _start(self, name: str, arguments: list[str]) -> Path:
        log = self._folder / f"{name}.log"
        with log.open("w") as file:
            command = [sys.executable, "-m", *arguments]
            self._processes.append(
                subprocess.Popen(command, stdout=file, stderr=file, env=ENVIRONMENT, cwd=self._folder)
            )
        return log

    def add_worker(self, name: str) -> None:
        options = ["--nthreads", "1", "--no-dashboard", "--name", name, "--local-directory", str(self._folder)]
        log = self._start(name, ["dask", "worker", self.address, *options])
        wait_until(lambda: "Registered to" in log.read_text(), 60)

    def close(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def loopback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackCluster]:
    cluster = LoopbackCluster(tmp_path_factory.mktemp("dask"))
    try:
        for name in ("one", "two"):
            cluster.add_worker(name)
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def cluster(loopback: LoopbackCluster) -> Iterator[Cluster]:
    cluster = Cluster(loopback.address)
    yield cluster
    cluster.close()


def fine(number: int) -> Made:
    return Made({"pid": os.getpid()}, number)


def nap(seconds: float) -> Made:
    time.sleep(seconds)
    return Made()


def refuse() -> Made:
    raise ClipError("a.mp4: empty file")


def our_mistake() -> Made:
    raise ZeroDivisionError("ours")


def die() -> Made:
    os.kill(os.getpid(), signal.SIGKILL)
    return Made()


def die_once(mark: Path) -> Made:
    """Die at the first call, be fine at the second."""
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return Made()


def test_rows_come_from_the_workers(cluster: Cluster) -> None:
    tasks = [Task(str(n), f"f{n}", partial(fine, n)) for n in range(40)] + [Task("bad", "f", refuse)]
    rows = {row.id: row for row in cluster.run(tasks)}
    assert rows.keys() == {task.id for task in tasks}
    assert (rows["bad"].status, rows["bad"].error) == (FAILED, "a.mp4: empty file")
    assert (rows["7"].status, rows["7"].fingerprint, rows["7"].bytes) == (DONE, "f7", 7)
    assert os.getpid() not in {row.facts["pid"] for row in rows.values() if row.status == DONE}
    with pytest.raises(ZeroDivisionError):
        list(cluster.run([Task("a", "f", our_mistake)]))
    assert [row.status for row in cluster.run(tasks[:1])] == [DONE]


def test_workers_that_die_cost_the_culprit_only(cluster: Cluster, tmp_path: Path) -> None:
    tasks = [Task(str(n), "f", partial(fine, n)) for n in range(10)]
    tasks += [Task("culprit", "f", die), Task("unlucky", "f", partial(die_once, tmp_path / "mark"))]
    rows = {row.id: row for row in cluster.run(tasks)}
    assert rows.keys() == {task.id for task in tasks}
    assert {key: row.error for key, row in rows.items() if row.status == FAILED} == {
        "culprit": "its worker processes died, four times over"
    }


@pytest.mark.slow
def test_a_worker_killed_in_mid_run_changes_nothing(ffmpeg: str, loopback: LoopbackCluster, tmp_path: Path) -> None:
    data, openpose = clips(ffmpeg, tmp_path / "data", [f"s{n}" for n in range(12)]), fake_openpose(tmp_path)
    options = ["--openpose-bin", str(openpose), "--samples-per-shard", "5"]
    work = tmp_path / "cluster"
    process = start(data, work, *options, "--scheduler", loopback.address)
    wait_until(lambda: len(read_ledger_rows(work / "ledger", "keypoints")) >= 2, 60)
    victims = subprocess.run(["pgrep", "-f", "multiprocessing.*spawn_main"], capture_output=True, text=True)
    folder = str(loopback._folder)
    killed = 0
    for pid in map(int, victims.stdout.split()):
        if str(Path(f"/proc/{pid}/cwd").readlink()).startswith(folder) and not killed:
            os.kill(pid, signal.SIGKILL)
            killed += 1
    assert killed == 1
    assert process.wait(90) == 0, (tmp_path / "cluster.log").read_text()
    assert run(data, tmp_path / "local", *options, "--jobs", "2").returncode == 0
    assert digests(work) == digests(tmp_path / "local")


# Waits until it may end, and puts everything 40 pixels to the side.
_OTHER_OPENPOSE = """#!{python}
import pathlib, re, subprocess, sys, time
folder = pathlib.Path(sys.argv[sys.argv.index("--write_json") + 1])
pathlib.Path({begun!r}).touch()
while not pathlib.Path({go!r}).exists():
    time.sleep(0.05)
subprocess.run([{openpose!r}, *sys.argv[1:]], check=True)
def shifted(point):
    return f"{{float(point[1]) + 40}}, {{point[2]}}, 0.9"
for path in folder.iterdir():
    path.write_text(re.sub(r"([0-9.]+), ([0-9.]+), 0.9", shifted, path.read_text()))
pathlib.Path({ended!r}).touch()
"""


@pytest.mark.slow
def test_a_task_that_outlives_its_driver_changes_nothing(
    ffmpeg: str, loopback: LoopbackCluster, tmp_path: Path
) -> None:
    """The driver is killed while a worker runs another OpenPose, which ends after the same workspace has been run."""
    data, openpose, work = clips(ffmpeg, tmp_path / "data", ["s0", "s1"]), fake_openpose(tmp_path), tmp_path / "work"
    begun, go, ended, other = (tmp_path / name for name in ("begun", "go", "ended", "other.bin"))
    names = {"begun": str(begun), "go": str(go), "ended": str(ended), "openpose": str(openpose)}
    names["python"] = sys.executable
    other.write_text(_OTHER_OPENPOSE.format(**names))
    other.chmod(0o755)
    first = start(data, work, "--openpose-bin", str(other), "--scheduler", loopback.address)
    wait_until(begun.exists, 60)
    first.kill()
    first.wait(10)
    options = ["--openpose-bin", str(openpose), "--jobs", "1"]
    assert run(data, work, *options).returncode == 0
    go.touch()
    wait_until(ended.exists, 60)
    time.sleep(1)  # for the worker to write what it has read
    assert run(data, tmp_path / "clean", *options).returncode == 0
    again = run(data, work, *options)
    assert (again.returncode, "keypoints: 2 done, 0 to do" in again.stderr) == (0, True)
    assert digests(work) == digests(tmp_path / "clean")


def test_imported_keypoints_give_the_same_shards(tiny: Path, tiny_work: Path, loopback, tmp_path: Path) -> None:
    assert run_pipeline(tiny, tmp_path, "--samples-per-shard", "3", "--scheduler", loopback.address) == 0
    assert digests(tmp_path) == digests(tiny_work)


def test_no_scheduler_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.workers.dask._CONNECT_SECONDS", 2)
    with pytest.raises(InputError, match=r"--scheduler tcp://127.0.0.1:9: no Dask scheduler answers there"):
        Cluster("tcp://127.0.0.1:9")
    with pytest.raises(InputError, match="--scheduler nonsense://x: no Dask scheduler answers there"):
        Cluster("nonsense://x")


# With the command's own time limit it would take 45 s.
_SOON = """
import sys, pipeline.workers.dask as dask
dask._CONNECT_SECONDS = 2
try:
    dask.Cluster(sys.argv[1])
except dask.InputError as error:
    sys.exit(error.message)
"""


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:{port}", "tcp://127.0.0.1", "foo"])
def test_what_is_no_scheduler_is_told_soon(address: str) -> None:
    """Something listens there and says nothing; an address without a port. The process then has to end, too."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = address.format(port=server.getsockname()[1])
        done = subprocess.run([sys.executable, "-c", _SOON, address], capture_output=True, text=True, timeout=25)
    assert done.returncode == 1
    assert done.stderr.startswith(f"--scheduler {address}: no Dask scheduler answers there (")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_the_scheduler_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    loopback = LoopbackCluster(tmp_path)
    try:
        loopback.add_worker("one")
        cluster = Cluster(loopback.address)
        tasks = [Task("a", "f", partial(fine, 1)), Task("b", "f", partial(nap, 60))]
        rows = cluster.run(tasks)
        assert next(rows).id == "a"
        monkeypatch.setattr(logging.getLogger("distributed.client"), "handlers", [caplog.handler])
        loopback._processes[0].kill()
        with pytest.raises(RunError, match="lost the Dask scheduler; run the same command again"):
            next(rows)
        cluster.close()
    finally:
        loopback.close()
    assert not caplog.records  # our error says it in one line; Dask adds no traceback
