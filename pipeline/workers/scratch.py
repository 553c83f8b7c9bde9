"""Folders for the JSON of one clip, on the worker's own disk; the driver removes those of workers that were killed."""

import os
import shutil
import tempfile
import time
from pathlib import Path

_SECONDS = 1.0  # for the estimator of a killed worker to end: its supervisor kills it within milliseconds


def json_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for what an estimator writes about a clip, in a worker of ours."""
    return tempfile.TemporaryDirectory(prefix=_prefix(os.getppid()))


def remove_json_folders() -> None:
    """Remove those of our workers that are no more: some 75 files a clip, often in a temporary folder in memory.

    What cannot be removed stays: it costs space, and no more.
    """
    end = time.monotonic() + _SECONDS
    while folders := list(Path(tempfile.gettempdir()).glob(f"{_prefix(os.getpid())}*")):
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        if time.monotonic() > end:
            return


def _prefix(driver: int) -> str:
    # With the machine's name: containers may share the folder, and each has a process of this number.
    return f"signshards-{os.uname().nodename}-{driver}-"
