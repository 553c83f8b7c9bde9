"""Run a command that ends when its caller does: `python supervise.py FD COMMAND…`, started by `process.Supervised`.

FD is one end of a socket pair. A kill of the caller, even SIGKILL, closes the other end; then the process group is
killed: this process and everything that the command started. When the command ends, its exit status goes to FD as text,
and what it left running is killed. Imports nothing of ours, so that it starts in some 20 ms.
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
        ending = str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    except OSError as error:
        ending = f"cannot be started ({error.strerror})"
    os.write(line, ending.encode())
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
