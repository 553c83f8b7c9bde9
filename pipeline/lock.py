"""One driver per workspace, or one per part of a job array.

The lock is a POSIX record lock (fcntl). The kernel drops it when the driver's process ends, however it ends, and NFS
passes it to the server, which drops it when the client's lease runs out; no file has to be cleaned up. (flock would
not do: a driver on the NFS server itself and one on a client would not see each other's.) Who holds it is written into
the file, for people.

A whole run takes `driver.lock` alone; parts share it, and each takes its own part's lock alone.
"""

import errno
import fcntl
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pipeline.part import Part
from shards.errors import InputError

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
# A record lock belongs to the process: a second one on the same file would be granted to it, and closing it would drop
# the first.
_held: set[Path] = set()


@contextmanager
def workspace_lock(folder: Path, part: Part | None) -> Iterator[None]:
    """Hold the lock of the workspace whose lock files lie in `folder`.

    Raises:
        InputError: another driver holds it.
    """
    with ExitStack() as locks:
        kind = fcntl.LOCK_EX if part is None else fcntl.LOCK_SH
        locks.enter_context(_locked(folder / "driver.lock", kind, "this workspace"))
        if part is not None:
            locks.enter_context(_locked(folder / f"{part.name}.lock", fcntl.LOCK_EX, part.name))
        yield


@contextmanager
def _locked(path: Path, kind: int, what: str) -> Iterator[None]:
    path = path.resolve()
    if path in _held:
        raise InputError(f"{path}: another run of this process works on {what}; wait for its end")
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.lockf(file, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise InputError(f"{path}: {_owner(path)} works on {what}; wait for its end, or stop it") from error
            if error.errno not in _NO_LOCKS:
                raise
            print(f"{path}: no locks on this file system; see that only one driver runs on {what}", file=sys.stderr)
        file.truncate(0)  # what a killed driver wrote
        if kind == fcntl.LOCK_EX:
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
        _held.add(path)
        try:
            yield
        finally:
            _held.discard(path)
            if kind == fcntl.LOCK_EX:
                file.truncate(0)


def _owner(path: Path) -> str:
    """Who holds a lock; parts that share it do not sign."""
    return path.read_text(encoding="utf-8", errors="replace").strip() or "a part of a job array"
