"""SIGINT and SIGTERM end a run in good order."""

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.resource_tracker import ensure_running
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# timeout(1) and shells deliver a signal twice; the second must not break into the cleaning up after the first.
_AGAIN_SECONDS = 3.0


class StoppedBySignal(BaseException):
    """We were asked to stop; the message is the signal's name."""


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Inside the block the signals raise `StoppedBySignal` in the main thread; our caller may have some ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    last = -math.inf

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal last
        if time.monotonic() - last > _AGAIN_SECONDS:
            last = time.monotonic()
            raise StoppedBySignal(signal.Signals(number).name)

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def signals_held_by_workers() -> Iterator[None]:
    """Processes that are started inside the block hold the signals until `leave_signals_to_driver`: while a worker
    imports its modules, Ctrl-C would print a traceback of it."""
    # Starting this helper, which workers need, would let the signals through again (Python 3.11).
    ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_signals_to_driver() -> None:
    """For workers: Ctrl-C and Slurm send the signals to every process of the job, and the driver ends the workers."""
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            # Not SIG_IGN, which programs that the worker starts would inherit.
            signal.signal(number, lambda number, frame: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
