"""Locks between processes, also on different machines.

They are POSIX record locks (fcntl). The kernel drops one when its process ends, however it ends, and NFS passes it to
the server, which drops it when the client's lease runs out; no file has to be cleaned up. (flock would not do: a
process on the NFS server itself and one on a client would not see each other's.) Who holds a lock alone is written into
its file, for people.

The file is never one that a link leads to, and nothing is emptied that no lock of ours has written.
"""

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shards.command_line import print_line
from shards.errors import InputError
from shards.files import open_no_link

_SIGNATURE = "process "
# Errors of fcntl: somebody else has the lock; the file system has none.
TAKEN = (errno.EACCES, errno.EAGAIN)
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
# A record lock belongs to the process: a second one on the same file would be granted to it, and closing it would drop
# the first.
_held: set[Path] = set()


@contextmanager
def file_lock(path: Path, what: str, shared: bool = False, unsigned: str = "another process") -> Iterator[None]:
    """Hold the lock of a file, which is made where it does not exist.

    Where the file system has no locks, this says so and goes on.

    Args:
        path: the file.
        what: is worked on by who holds the lock, for messages.
        shared: with others that share it, too; they do not sign.
        unsigned: who holds it where nobody has signed, for messages.

    Raises:
        InputError: another process holds it, or this one already; the file holds something else.
        OSError: the file cannot be opened, or is a link.
    """
    path = path.parent.resolve() / path.name
    if path in _held:
        raise InputError(f"{path}: another run of this process works on {what}; wait for its end")
    with open(path, "a+", encoding="utf-8", errors="replace", opener=open_no_link) as file:
        try:
            fcntl.lockf(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in TAKEN:
                file.seek(0)
                owner = file.read(300).strip() or unsigned
                raise InputError(f"{path}: {owner} works on {what}; wait for its end, or stop it") from error
            if error.errno not in NO_LOCKS:
                raise
            print_line(f"{path}: no locks on this file system; see that only one driver runs on {what}", err=True)
        file.seek(0)
        if (found := file.read(len(_SIGNATURE))) and found != _SIGNATURE:
            raise InputError(f"{path}: holds something else than a lock; move it away")
        file.truncate(0)  # what a killed process wrote
        if not shared:
            file.write(f"{_SIGNATURE}{os.getpid()} on {socket.gethostname()}")
            file.flush()
        _held.add(path)
        try:
            yield
        finally:
            _held.discard(path)
            if not shared:
                file.truncate(0)
