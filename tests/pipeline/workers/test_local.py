"""Worker processes that do their work, fail, or die."""

import errno
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from helpers.processes.held_signals import held

from pipeline.errors import ClipError
from pipeline.workers.local import Task, end_workers, execute, one_core, run_tasks
from pipeline.workspace.row import DONE, FAILED, Made


def fine(number: int) -> Made:
    return Made({"pid": os.getpid()}, number)


def refuse() -> Made:
    raise ClipError("a.mp4: empty file")


def segfault() -> Made:
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(5)
    return Made()


def leave() -> Made:
    os._exit(7)


def full_disk() -> Made:
    raise OSError(errno.ENOSPC, "No space left on device")


def no_permission() -> Made:
    raise PermissionError(errno.EACCES, "Permission denied", "x.json")


def our_mistake() -> Made:
    raise ZeroDivisionError("ours")


def too_large() -> Made:
    raise MemoryError


def nap(mark: str) -> Made:
    Path(mark).touch()
    time.sleep(60)
    return Made()


def test_execute_tells_done_from_failed() -> None:
    row = execute(Task("a", "f", partial(fine, 5)))
    assert (row.id, row.status, row.fingerprint, row.bytes, row.facts) == ("a", DONE, "f", 5, {"pid": os.getpid()})
    row = execute(Task("b", "f", refuse))
    assert (row.id, row.status, row.error, row.facts) == ("b", FAILED, "a.mp4: empty file", {})
    assert "Permission denied: 'x.json'" in execute(Task("c", "f", no_permission)).error
    row = execute(Task("d", "f", too_large))
    assert (row.id, row.status, row.error) == ("d", FAILED, "out of memory; run it again with fewer --jobs")


def cores() -> Made:
    return Made({"cores": len(os.sched_getaffinity(0))})


def test_tasks_that_may_stay_on_one_core_where_every_core_has_a_worker() -> None:
    every = len(os.sched_getaffinity(0))
    tasks = [Task("may", "f", cores, one_core=True), Task("may not", "f", cores)]
    for jobs, expected in ((max(2, every), 1), (1, every)):
        rows = {row.id: row.facts["cores"] for row in run_tasks(tasks, jobs)}
        assert rows == {"may": expected, "may not": every}


def test_execute_leaves_other_mistakes_alone() -> None:
    with pytest.raises(ZeroDivisionError):
        execute(Task("a", "f", our_mistake))
    with pytest.raises(OSError, match="No space"):
        execute(Task("a", "f", full_disk))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_worker_that_dies_costs_its_task_only(jobs: int) -> None:
    works = {str(n): partial(fine, n) for n in range(12)} | {"3": segfault, "7": leave, "8": refuse}
    rows = {row.id: row for row in run_tasks((Task(key, "f" + key, work) for key, work in works.items()), jobs)}
    assert rows.keys() == works.keys()
    errors = {key: row.error for key, row in rows.items() if row.status == FAILED}
    assert errors == {
        "3": "its worker process died: SIGSEGV(-11)",
        "7": "its worker process died: EXIT(7)",
        "8": "a.mp4: empty file",
    }
    assert rows["3"].fingerprint == "f3"
    workers = {row.facts["pid"] for row in rows.values() if row.status == DONE}
    assert os.getpid() not in workers
    # It goes on as well as before: more tasks, in the same process.
    assert len(list(run_tasks([Task(str(n), "f", partial(fine, n)) for n in range(5)], 3 - jobs))) == 5


@pytest.mark.parametrize("jobs", [1, 2])
def test_signals_are_held_while_workers_start(jobs: int) -> None:
    """Ctrl-C would print tracebacks of what they import. Programs that they start later must not inherit that."""
    end_workers()
    rows = list(run_tasks([Task(f"t{number}", "f", held) for number in range(4)], jobs))
    assert {tuple(row.facts["imported"]) for row in rows} == {(signal.SIGINT, signal.SIGTERM)}
    assert [row.facts["now"] for row in rows] == [[]] * 4


def test_an_unexpected_exception_is_raised_with_its_own_traceback() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        list(run_tasks([Task("a", "f", our_mistake), Task("b", "f", partial(fine, 1))], 2))
    assert "our_mistake" in str(caught.value.__cause__)


def test_end_workers_kills_what_is_under_way(tmp_path: Path) -> None:
    rows = run_tasks([Task("a", "f", partial(fine, 1)), Task("b", "f", partial(nap, str(tmp_path / "b")))], 2)
    pid = next(rows).facts["pid"]
    while not (tmp_path / "b").exists():
        time.sleep(0.01)
    start = time.monotonic()
    with pytest.warns(UserWarning):  # joblib, about the task that is lost
        rows.close()
    end_workers()
    assert time.monotonic() - start < 5
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    end_workers()  # nothing to do


CORES = os.sched_getaffinity(0)


def test_thread_and_children_stay_on_one_core_and_get_all_back() -> None:
    with one_core():
        (core,) = os.sched_getaffinity(0)
        said = subprocess.check_output([sys.executable, "-c", "import os; print(*os.sched_getaffinity(0))"])
    assert int(said) == core
    assert core in CORES
    assert os.sched_getaffinity(0) == CORES


def test_a_failure_gives_them_back_too() -> None:
    with pytest.raises(ZeroDivisionError), one_core():
        _ = 1 / 0
    assert os.sched_getaffinity(0) == CORES


def test_where_it_is_forbidden_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(pid: int, cores: set[int]) -> None:
        raise PermissionError("no")

    monkeypatch.setattr(os, "sched_setaffinity", forbidden)
    with one_core():
        assert os.sched_getaffinity(0) == CORES
