"""Worker processes on this machine: whether there can be any, their end with the process that started them."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import get_context
from typing import Any

from shards.command_line import print_line
from shards.errors import OneLineError

_LOOK_SECONDS = 0.5
_watching: set[int] = set()


def can_have_workers() -> bool:
    """Whether worker processes can be started; says why not where they cannot.

    They share semaphores, a few bytes each in /dev/shm.
    """
    try:
        get_context("fork").Lock()  # which unlinks its name at once
    except (OSError, ImportError) as error:  # ImportError: this Python has no semaphores
        reason = getattr(error, "strerror", None) or error
        text = f"/dev/shm: no room for worker processes ({reason}); working in this process alone"  # noqa: S108
        print_line(text, err=True)
        return False
    return True


def end_with_parent(parent: int, before: Callable[[], None] = lambda: None) -> None:
    """In a worker: from now on end when `parent`, the process that started it, does, however that ends.

    joblib's workers would wait for work for minutes. `before` is called before the end. Nothing happens in `parent`
    itself, which does the work where there can be no workers, or twice.
    """
    if os.getpid() == parent or parent in _watching:
        return
    _watching.add(parent)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        before()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def in_workers(function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], jobs: int) -> Iterator[Any]:
    """What a function gives for each of the arguments, in their order, from `jobs` processes; with one, in this one.

    Raises:
        OneLineError: a worker was killed.
    """
    if jobs == 1 or not can_have_workers():
        yield from (function(*one) for one in arguments)
        return
    from joblib import Parallel, delayed
    from joblib.externals.loky import BrokenProcessPool

    rows = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(_called)(os.getpid(), function, one) for one in arguments
    )
    try:
        yield from rows
    except BrokenProcessPool as error:
        raise OneLineError(
            "a worker process was killed, as the kernel does where memory is short; run it again with fewer --jobs"
        ) from error


def _called(parent: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    end_with_parent(parent)
    return function(*arguments)
