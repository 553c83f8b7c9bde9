"""Run a command that ends when its caller does: `python supervise.py FD COMMAND…`, started by `child.py`.

FD is one end of a socket pair. A kill of the caller, however hard, closes the other end; then the process group, this
process and everything the command started, is killed. When the command ends, its exit status goes to FD as text, and
what it left running is killed. Imports nothing of ours, so that it starts in some 20 ms.
"""

import os
import signal
import sys
import threading


def main() -> None:
    """Start the command, wait for its end or for the caller's."""
    line, command = int(sys.argv[1]), sys.argv[2:]
    os.set_inheritable(line, False)  # the command must not keep the line open

    def watch() -> None:
        os.read(line, 1)  # nothing is ever sent: this returns when the other end is closed
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
    try:
        pid = os.posix_spawnp(command[0], command, os.environ)
        told = str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    except OSError as error:
        told = f"cannot be started ({error.strerror})"
    os.write(line, told.encode())
    os.killpg(0, signal.SIGKILL)


main()
