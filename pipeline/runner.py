"""Running a stage: the same plain function over many clips, in local processes through joblib."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.failure import ClipError
from pipeline.ledger import DONE, FAILED, Row


@dataclass(frozen=True)
class Task:
    """One stage's work on one clip (or on one shard). Travels to a worker, so `work` is a partial of a plain
    function."""

    id: str
    fingerprint: str  # of everything the result depends on
    work: Callable[[], dict[str, Any]]  # returns facts for the ledger; raises ClipError for a clip that cannot be used


def execute(task: Task) -> Row:
    """Do a task where we are; a clip that cannot be used becomes a failed row, any other mistake is raised."""
    start = time.perf_counter()
    try:
        facts = task.work()
    except (ClipError, OSError) as error:
        return Row(task.id, FAILED, task.fingerprint, time.perf_counter() - start, error=str(error))
    written = facts.pop("bytes", 0)
    return Row(task.id, DONE, task.fingerprint, time.perf_counter() - start, written, facts=facts)


def run_tasks(tasks: Iterable[Task], jobs: int) -> Iterator[Row]:
    """Rows as the tasks end, in any order, from `jobs` processes (1: in this one)."""
    from joblib import Parallel, delayed

    yield from Parallel(n_jobs=jobs, return_as="generator_unordered")(delayed(execute)(task) for task in tasks)
