"""Several shards at a time, with one bar of bytes."""

import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from tqdm import tqdm

from shards.remote.download import Download
from shards.remote.transfer import TransferStopped

Job = TypeVar("Job")
_AT_ONCE = 4
_LOG_SECONDS = 30.0
_TICK_SECONDS = 0.1


class _Bar:
    """A tqdm bar on a terminal; a line now and then, and at the end, in a log file."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        self._start = self._last = time.monotonic()
        shown = {"unit": "B", "unit_scale": True, "dynamic_ncols": True}
        self._bar = tqdm(total=total, desc="fetch", **shown) if sys.stderr.isatty() else None

    def add(self, size: int) -> None:
        self._done += size
        if self._bar is not None:
            self._bar.update(size)
        elif time.monotonic() - self._last > _LOG_SECONDS:
            self._last = time.monotonic()
            print(f"fetch: {self._done / 1e6:.1f}/{self._total / 1e6:.1f} MB", file=sys.stderr, flush=True)

    def close(self, shards: int) -> None:
        if self._bar is not None:
            self._bar.close()
        elif shards:
            seconds = time.monotonic() - self._start
            print(f"fetch: {shards} shards, {self._total / 1e6:.1f} MB in {seconds:.1f} s", file=sys.stderr, flush=True)


def fetch_all(jobs: Sequence[Job], total: int, work: Callable[[Job, Download], None]) -> None:
    """Call `work` for every job, four at a time. The first error stops the others and is raised.

    Args:
        jobs: one per shard.
        total: bytes of all of them.
        work: fetches one with the `Download` that it is given.
    """
    if not jobs:
        return
    stop, sizes = threading.Event(), queue.SimpleQueue[int]()
    bar = _Bar(total)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        futures = [pool.submit(work, job, Download(stop, sizes.put)) for job in jobs]
        try:
            pending: set[Future[None]] = set(futures)
            while pending:
                done, pending = wait(pending, _TICK_SECONDS, FIRST_EXCEPTION)
                while not sizes.empty():
                    bar.add(sizes.get())
                if any(future.exception() for future in done):
                    break
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
            finished = all(not future.cancelled() and future.exception() is None for future in futures)
            bar.close(len(jobs) if finished else 0)
    errors = [error for future in futures if not future.cancelled() and (error := future.exception())]
    for error in sorted(errors, key=lambda error: isinstance(error, TransferStopped)):
        raise error
