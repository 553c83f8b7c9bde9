"""Running a stage: the same plain function over many clips, in local worker processes through joblib."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from pipeline.errors import ClipError, is_disk_trouble
from pipeline.workers.cores import one_core
from pipeline.workers.scratch import remove_json_folders
from pipeline.workers.signals import leave_signals_to_driver, signals_held_by_workers
from pipeline.workspace.row import DONE, FAILED, Row


@dataclass(frozen=True)
class Task:
    """One stage's work on one clip (or on one shard). Travels to a worker, so `work` is a partial of a plain
    function."""

    id: str
    fingerprint: str  # of everything the result depends on
    work: Callable[[], dict[str, Any]]  # returns facts for the ledger; raises ClipError for a clip that cannot be used
    one_core: bool = False  # needs no more at a time, see `cores.one_core`


def execute(task: Task, crowded: bool = False) -> Row:
    """Do a task where we are; a clip that cannot be used becomes a failed row. `crowded`: every core has a worker.

    Raises:
        OSError: the disk is full or read-only, which is not the clip's fault.
        Exception: any other mistake is ours, and is raised as it is.
    """
    leave_signals_to_driver()
    start = time.perf_counter()
    try:
        with one_core() if crowded and task.one_core else nullcontext():
            facts = task.work()
    except (ClipError, OSError) as error:
        if isinstance(error, OSError) and is_disk_trouble(error):
            raise
        return Row(task.id, FAILED, task.fingerprint, time.perf_counter() - start, error=str(error))
    except MemoryError:
        error = "out of memory; run it again with fewer --jobs"
        return Row(task.id, FAILED, task.fingerprint, time.perf_counter() - start, error=error)
    written = facts.pop("bytes", 0)
    return Row(task.id, DONE, task.fingerprint, time.perf_counter() - start, written, facts=facts)


def run_tasks(tasks: Iterable[Task], jobs: int) -> Iterator[Row]:
    """Rows as the tasks end, in any order, from `jobs` worker processes.

    When a worker dies (out of memory, a segmentation fault in a library), joblib gives up everything that was under way
    and cannot say which task it was. So those tasks are done again one by one: the culprit fails, the others do not.

    Raises:
        OSError: see `execute`.
    """
    from joblib.externals.loky import BrokenProcessPool

    waiting, running = iter(tasks), {}
    if jobs == 1:
        yield from _one_by_one(waiting)
        return
    while True:
        try:
            for row in _parallel(_noted(waiting, running), jobs):
                del running[row.id]
                yield row
            return
        except BrokenProcessPool:
            yield from _one_by_one(list(running.values()))
            running.clear()


def end_workers() -> None:
    """Kill the worker processes, and with them what they keep running between tasks and their temporary folders."""
    if "joblib" not in sys.modules:
        return  # none was started
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor(reuse=True).shutdown(wait=True, kill_workers=True)
    remove_json_folders()


def _noted(tasks: Iterator[Task], running: dict[str, Task]) -> Iterator[Task]:
    for task in tasks:
        running[task.id] = task
        yield task


def _parallel(tasks: Iterable[Task], jobs: int) -> Iterator[Row]:
    from joblib import Parallel, delayed

    # A batch of one: a row comes when its clip is done, and little is under way when we are killed. It costs 1 ms.
    pool = Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
    crowded = jobs >= len(os.sched_getaffinity(0))
    with signals_held_by_workers():  # joblib starts the workers and hands out the first tasks before it returns
        rows = pool(delayed(execute)(task, crowded) for task in tasks)
    yield from rows


def _one_by_one(tasks: Iterable[Task]) -> Iterator[Row]:
    """The same with a single worker process, so that its death has one task to answer for."""
    from joblib.executor import get_memmapping_executor  # the pool that `Parallel` uses, so that the two can alternate
    from joblib.externals.loky import BrokenProcessPool

    for task in tasks:
        try:
            with signals_held_by_workers():
                future = get_memmapping_executor(1).submit(execute, task)
            yield future.result()
        except BrokenProcessPool as error:
            yield Row(task.id, FAILED, task.fingerprint, error=f"its worker process died: {_exit_codes(error)}")


def _exit_codes(error: Exception) -> str:
    """`SIGSEGV(-11)` out of loky's message, whose end is `The exit codes of the workers are {SIGSEGV(-11)}`."""
    return str(error).strip().rpartition("{")[2].partition("}")[0] or "no exit code"
