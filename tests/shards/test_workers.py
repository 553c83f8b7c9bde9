"""Worker processes that are killed, left alone, or cannot be had."""

import errno
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from helpers.processes.pipeline_runs import processes_of, wait_until

from shards import workers
from shards.errors import OneLineError
from shards.workers import can_have_workers, in_workers

_DRIVER = """
import sys, time
from pathlib import Path
from shards.workers import in_workers
from tests_workers import nap
list(in_workers(nap, [(sys.argv[1],), (sys.argv[1],)], 2))
"""


def double(number: int) -> tuple[int, int]:
    return 2 * number, os.getpid()


def die(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_order(jobs: int) -> None:
    found = list(in_workers(double, [(one,) for one in range(5)], jobs))
    assert [value for value, _ in found] == [0, 2, 4, 6, 8]
    assert (os.getpid() in {process for _, process in found}) == (jobs == 1)


def test_a_killed_worker_is_one_line() -> None:
    with pytest.raises(OneLineError, match="killed"):
        list(in_workers(die, [(1,), (2,)], 2))


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_the_process_that_started_them(tmp_path: Path, sent: signal.Signals) -> None:
    marker, module = uuid.uuid4().hex, tmp_path / "tests_workers.py"
    module.write_text("import time, pathlib\ndef nap(mark):\n    pathlib.Path(mark).touch()\n    time.sleep(100)\n")
    environment = os.environ | {"TEST_MARKER": marker, "PYTHONPATH": f"{tmp_path}:{Path(workers.__file__).parents[1]}"}
    driver = subprocess.Popen([sys.executable, "-c", _DRIVER, str(tmp_path / "mark")], env=environment)
    wait_until((tmp_path / "mark").exists, 60)
    driver.send_signal(sent)
    driver.wait(10)
    wait_until(lambda: not processes_of(marker), 20)


def test_without_semaphores_the_work_is_done_here(monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Full:
        def Lock(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(workers, "get_context", lambda kind: Full())
    assert not can_have_workers()
    assert {process for _, process in in_workers(double, [(1,), (2,)], 2)} == {os.getpid()}
    assert "/dev/shm: no room for worker processes (No space left on device)" in capsys.readouterr().err  # noqa: S108
