"""Who uses which shard of a folder in the cache: shared by those who read it, alone for who fetches or removes it.

As in `shards.lock`, these are POSIX record locks, which the kernel drops when a process ends, however it ends. Here
they are ranges of one file, a byte per shard: with a file per shard, a process that reads a thousand shards would need
a thousand open files. Nothing ever waits in the kernel for a lock: who finds one taken looks again, as another process
may have fetched the shard meanwhile and keep it for as long as its run.
"""

import fcntl
import hashlib
import os
import threading
from pathlib import Path

from shards.errors import InputError
from shards.files import open_no_link
from shards.lock import NO_LOCKS, TAKEN

FILE_NAME = ".lock"


class FolderLocks:
    """The locks of one folder, of which a process has one object: see `locks_of`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._file = open(self._path, "a+b", opener=open_no_link)  # noqa: SIM115 (open until the process ends)
        self._held: set[str] = set()
        self._guard = threading.Lock()

    def share(self, name: str) -> bool:
        """Hold a lock with others, until `release` or the end of the process; False where somebody has it alone."""
        with self._guard:
            return self._take(name, fcntl.LOCK_SH)

    def own(self, name: str) -> bool:
        """Hold a lock that nobody holds, this process neither; False otherwise. `share` then makes it a shared one."""
        with self._guard:
            return name not in self._held and self._take(name, fcntl.LOCK_EX)

    def release(self, name: str) -> None:
        """Let a lock go."""
        with self._guard:
            self._held.discard(name)
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _place(name))

    def is_current(self) -> bool:
        """False where the file was removed, and with it the folder, say: the locks then hold nothing."""
        here = os.fstat(self._file.fileno())
        return self._path.exists() and os.path.samestat(here, self._path.stat())

    def _take(self, name: str, kind: int) -> bool:
        try:
            fcntl.lockf(self._file, kind | fcntl.LOCK_NB, 1, _place(name))
        except OSError as error:
            if error.errno in TAKEN:
                return False
            if error.errno in NO_LOCKS:
                raise InputError(
                    f"{self._path}: no locks on this file system; put the cache on a local disk"
                ) from error
            raise
        self._held.add(name)
        return True


def _place(name: str) -> int:
    """The byte of a name. Two names with one byte, if ever, are one lock, which is only a wait too many."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7])


# A process loses its locks when it closes the file, by whatever object: so it opens a file once.
_open: dict[Path, FolderLocks] = {}
_opening = threading.Lock()


def locks_of(folder: Path) -> FolderLocks:
    """The locks of a folder, which exists."""
    folder = folder.resolve()
    with _opening:
        if folder not in _open or not _open[folder].is_current():
            _open[folder] = FolderLocks(folder)
        return _open[folder]


def _forget() -> None:
    global _opening
    _open.clear()
    _opening = threading.Lock()


os.register_at_fork(after_in_child=_forget)  # a child inherits no record locks
