"""Running a stage: the same plain function over many clips, in local worker processes through joblib."""

import ctypes
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial

from pipeline.errors import ClipError, is_disk_trouble
from pipeline.workers.process import remove_json_folders
from pipeline.workers.signals import leave_signals_to_driver, signals_held_by_workers
from pipeline.workspace.row import DONE, FAILED, LedgerRow, Made
from shards.workers import can_have_workers, end_with_parent

_libc = ctypes.CDLL(None)
Work = Callable[[], Made]  # raises ClipError for a clip that cannot be used


@dataclass(frozen=True)
class Task:
    """One stage's work on one clip (or on one shard). Travels to a worker, so `work` is a partial of a plain
    function."""

    id: str
    fingerprint: str  # of everything the result depends on
    work: Work
    one_core: bool = False  # needs no more at a time, see `one_core`


Engine = Callable[[Sequence[Task]], Iterator[LedgerRow]]  # rows as the tasks end, in any order


def execute(task: Task, crowded: bool = False, driver: int | None = None) -> LedgerRow:
    """Do a task in a worker, as `row_of` does it. `crowded`: every core has a worker; `driver`: the process that
    started the worker, and with which it ends (Dask sees to its own)."""
    if driver is not None:
        end_with_parent(driver, partial(remove_json_folders, driver))
    if driver != os.getpid():  # joblib may decide to have no workers
        leave_signals_to_driver()
    with one_core() if crowded and task.one_core else nullcontext():
        return row_of(task)


def row_of(task: Task) -> LedgerRow:
    """Do a task; a clip that cannot be used becomes a failed row.

    Raises:
        OSError: the disk is full or read-only, which is not the clip's fault.
        Exception: any other mistake is ours, and is raised as it is.
    """
    start = time.perf_counter()
    try:
        made = task.work()
    except (ClipError, OSError) as error:
        if isinstance(error, OSError) and is_disk_trouble(error):
            raise
        reason = str(error)
    except MemoryError:
        reason = "out of memory; run it again with fewer --jobs"
    else:
        seconds = time.perf_counter() - start
        return LedgerRow(
            task.id, DONE, task.fingerprint, seconds, made.bytes, facts=made.facts, temporary=made.temporary
        )
    return LedgerRow(task.id, FAILED, task.fingerprint, time.perf_counter() - start, error=reason)


@contextmanager
def one_core() -> Iterator[None]:
    """Inside, this thread and the processes that it starts stay on the core where it is now.

    FFmpeg hands every frame through four threads of its own, and then to us: on one core a switch, from core to core an
    interrupt. With a worker for each of two cores, the pipeline did 1.66 times what one did; with this, 1.84 times.
    """
    cores = os.sched_getaffinity(0)
    with suppress(OSError):  # a sandbox may forbid it; then all is as it was
        os.sched_setaffinity(0, {_libc.sched_getcpu()})
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setaffinity(0, cores)


def run_tasks(tasks: Iterable[Task], jobs: int) -> Iterator[LedgerRow]:
    """Rows as the tasks end, in any order, from `jobs` worker processes.

    When a worker dies (out of memory, a segmentation fault in a library), joblib gives up everything that was under way
    and cannot say which task it was. So those tasks are done again one by one: the culprit fails, the others do not.

    Raises:
        OSError: see `row_of`.
    """
    waiting = iter(tasks)
    running: dict[str, Task] = {}
    if not can_have_workers():
        yield from map(row_of, waiting)
        return
    from joblib.externals.loky import BrokenProcessPool  # not before: `end_workers` would make the workers to end

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


def _parallel(tasks: Iterable[Task], jobs: int) -> Iterator[LedgerRow]:
    from joblib import Parallel, delayed

    # A batch of one: a row comes when its clip is done, and little is under way when we are killed. It costs 1 ms.
    pool = Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
    crowded = jobs >= len(os.sched_getaffinity(0))
    with signals_held_by_workers():  # joblib starts the workers and hands out the first tasks before it returns
        rows = pool(delayed(execute)(task, crowded, os.getpid()) for task in tasks)
    yield from rows


def _one_by_one(tasks: Iterable[Task]) -> Iterator[LedgerRow]:
    """The same with a single worker process, so that its death has one task to answer for."""
    from joblib.executor import get_memmapping_executor  # the pool that `Parallel` uses, so that the two can alternate
    from joblib.externals.loky import BrokenProcessPool

    for task in tasks:
        try:
            with signals_held_by_workers():
                future = get_memmapping_executor(1).submit(execute, task, False, os.getpid())
            yield future.result()
        except BrokenProcessPool as error:
            yield LedgerRow(task.id, FAILED, task.fingerprint, error=f"its worker process died: {_exit_codes(error)}")


def _exit_codes(error: Exception) -> str:
    """`SIGSEGV(-11)` out of loky's message, whose end is `The exit codes of the workers are {SIGSEGV(-11)}`."""
    return str(error).strip().rpartition("{")[2].partition("}")[0] or "no exit code"
