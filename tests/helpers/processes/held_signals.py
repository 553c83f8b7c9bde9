"""Imported by a worker when it unpickles its first task: which signals were held until then."""

import signal

from pipeline.workspace.row import Made

WHEN_IMPORTED = signal.pthread_sigmask(signal.SIG_BLOCK, [])


def held() -> Made:
    """As a task: the numbers of the signals held when this was imported, and now."""
    now = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    return Made({"imported": sorted(map(int, WHEN_IMPORTED)), "now": sorted(map(int, now))})
