"""Commands run in forked children: a hundred a minute, each with bounded memory and time, and its output kept."""

import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from typing import NamedTuple

import click


class Ended(NamedTuple):
    """How a command ended."""

    status: int  # minus the signal that ended it
    output: str  # stdout and stderr
    megabytes: int  # most memory that it had at a time
    hung: bool

    @property
    def fault(self) -> str:
        """What no command may do, whatever its input; "" where all is well."""
        if self.hung:
            return "hangs"
        if "Traceback (most recent call last)" in self.output:
            return "traceback"
        return "" if self.status in (0, 1, 2, 3) else f"ends with {self.status}"


def forked(command: click.Command, *arguments: object, seconds: float = 90.0, gigabytes: float = 8.0) -> Ended:
    """Run a command of ours, whose modules are imported here already, to its end."""
    with tempfile.TemporaryFile() as log:
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            _run(command, [str(one) for one in arguments], log.fileno(), gigabytes)
        end, hung = time.monotonic() + seconds, False
        while not (ended := os.wait4(child, os.WNOHANG))[0]:
            if time.monotonic() > end and not hung:
                hung = True
                os.killpg(child, signal.SIGKILL)
            time.sleep(0.005)
        log.seek(0)
        output = log.read().decode(errors="replace")
    return Ended(os.waitstatus_to_exitcode(ended[1]), output, ended[2].ru_maxrss >> 10, hung)


def _run(command: click.Command, arguments: list[str], log: int, gigabytes: float) -> None:
    status = 99
    try:
        os.setsid()
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        limit = int(gigabytes * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        command.main(arguments, prog_name="command")
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 0
    except BaseException:  # noqa: BLE001 (whatever it is, the output shows it)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Neither pytest's cleaning up, nor loky's workers, which end with this process.
        os._exit(status)
