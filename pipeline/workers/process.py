"""Child processes that end in time, with everything they started, and the folders that estimators write to."""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import ClipError

_SUPERVISOR = str(Path(__file__).with_name("supervise.py"))
_LOG_TAIL = 4096
_SLICE_SECONDS = 1.0
_END_SECONDS = 1.0  # for the estimator of a killed worker to end: its supervisor kills it within milliseconds


class Finished(NamedTuple):
    """A program that came to its end."""

    status: int
    stdout: bytes
    stderr: bytes


def capture(command: Sequence[str], seconds: float, about: str) -> Finished:
    """Run a short-lived program to its end and keep what it prints.

    Raises:
        ClipError: it cannot be started, or takes longer than `seconds`; `about` names the clip.
    """
    with start_group(command, subprocess.PIPE, subprocess.PIPE) as process:
        try:
            stdout, stderr = within(seconds, lambda part: process.communicate(timeout=part))
        except TimeoutError as error:
            raise ClipError(f"{about}: {command[0]} did not finish in {seconds:g} s") from error
        finally:
            kill_group(process)
    return Finished(process.returncode, stdout, stderr)


def within(seconds: float, wait: Callable[[float], Any]) -> Any:
    """What `wait` gives, a wait of so many seconds for an answer that raises `TimeoutError` or `TimeoutExpired`.

    It waits a second at a time, and each counts as no more: an answer may be late for all the time in which we were
    stopped ourselves (SIGSTOP, a suspended job or laptop).

    Raises:
        TimeoutError: there is no answer in `seconds` in which we ran.
    """
    left = seconds
    while True:
        try:
            return wait(min(left, _SLICE_SECONDS))
        except (TimeoutError, subprocess.TimeoutExpired) as error:
            left -= _SLICE_SECONDS
            if left <= 0:
                raise TimeoutError from error


def start_group(
    command: Sequence[str], stdout: Any, stderr: Any, pass_fds: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own, for `kill_group`.

    Raises:
        ClipError: it cannot be started.
    """
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            bufsize=0,
            start_new_session=True,
            pass_fds=pass_fds,
        )
    except OSError as error:
        raise ClipError(f"{command[0]}: cannot be started ({error.strerror})") from error


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a process started with `start_new_session`, and its children; nothing happens when it has ended."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def widen_pipe(descriptor: int) -> None:
    """Let a program write 1 MB ahead of its reader, on another core."""
    with suppress(OSError):  # a user with 64 MB in pipes gets small ones
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, 1 << 20)


class Supervised:
    """A program that a supervisor (`supervise.py`) ends, with everything it started, when we end it or die.

    `process` has the pipes that were asked for in `streams`, as `subprocess.Popen` takes them.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None, **streams: Any) -> None:
        self._line, theirs = socket.socketpair()
        with theirs:
            supervisor = [sys.executable, "-I", "-S", _SUPERVISOR, str(theirs.fileno()), *command]
            self.process = subprocess.Popen(
                supervisor, env=environment, pass_fds=(theirs.fileno(),), start_new_session=True, **streams
            )

    def wait(self, seconds: float | None = None) -> str:
        """How the program ended: its exit status (minus the signal that killed it), or why it could not be started.

        Raises:
            TimeoutError: it has not ended in this time.
        """

        def receive(part: float | None) -> bytes:
            self._line.settimeout(part)
            return self._line.recv(1000)

        received: bytes = receive(None) if seconds is None else within(seconds, receive)
        return received.decode(errors="replace") or "its supervisor was killed"

    def end(self) -> None:
        """Kill it and everything it started, even where the supervisor itself was killed."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._line.close()


def run_child(command: Sequence[str], environment: Mapping[str, str], seconds: float, about: str) -> None:
    """Run an estimator to its end.

    Raises:
        ClipError: it cannot be started, fails, or takes longer than `seconds`; `about` names the clip.
    """
    with tempfile.TemporaryFile() as log:
        child = Supervised(command, environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
        try:
            ended = child.wait(seconds)
        except TimeoutError as error:
            raise ClipError(f"{about}: {command[0]} did not finish in {seconds:g} s") from error
        finally:
            child.end()
        if ended != "0":
            how = f"ended with {ended}" if ended.lstrip("-").isdigit() else ended
            raise ClipError(f"{about}: {command[0]} {how}: {last_line(log)}")


def last_line(log: Any) -> str:
    """The last line that a program wrote into the binary file `log`."""
    log.seek(0, os.SEEK_END)
    log.seek(max(0, log.tell() - _LOG_TAIL))
    lines = log.read().decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "no message"


def json_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder on the worker's own disk for what an estimator writes about a clip."""
    return tempfile.TemporaryDirectory(prefix=_prefix(os.getppid()))


def remove_json_folders(driver: int | None = None) -> None:
    """For the driver, or for a worker when it is gone: remove those of its workers that were killed, some 75 files
    each, often in memory.

    What cannot be removed stays: it costs space, and no more.
    """
    end = time.monotonic() + _END_SECONDS
    while folders := list(Path(tempfile.gettempdir()).glob(f"{_prefix(driver or os.getpid())}*")):
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        if time.monotonic() > end:
            return


def _prefix(driver: int) -> str:
    # With the machine's name: containers may share the folder, and each has a process of this number.
    return f"signshards-{os.uname().nodename}-{driver}-"
