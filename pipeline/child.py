"""Child processes that end in time, with everything they started."""

import os
import signal
import subprocess
from collections.abc import Sequence

from pipeline.failure import ClipError


def run_child(command: Sequence[str], environment: dict[str, str], seconds: float, about: str) -> None:
    """Run a program in a process group of its own; kill the group when it takes longer than `seconds`.

    Raises:
        ClipError: it cannot be started, fails, or takes too long; `about` names the clip.
    """
    try:
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )
    except OSError as error:
        raise ClipError(f"{command[0]}: cannot be started ({error.strerror})") from error
    try:
        _, log = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise ClipError(f"{about}: {command[0]} did not finish in {seconds:.0f} s") from error
    finally:
        kill_group(process)
    if process.returncode:
        said = log.decode(errors="replace").strip().splitlines()
        raise ClipError(f"{about}: {command[0]} ended with {process.returncode}: {said[-1] if said else 'no message'}")


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a process started with `start_new_session`, and its children; nothing happens when it has ended."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
