"""A folder of shards that many processes fetch into, read, and keep within a size.

DIR/<set>/ is a shard folder like any other, named after where it is from and what its dataset.json says: a set that was
changed elsewhere is another folder here. Besides, it holds what is on its way, `.<shard>.<bytes>.part`, and locks. A
shard that is there is whole: it was checked, then renamed. Its time of change says when a command last began to use it.
"""

import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from shards.errors import InputError
from shards.format.dataset import Shard
from shards.remote.locks import FILE_NAME as LOCK_NAME
from shards.remote.locks import FolderLocks, locks_of
from shards.remote.transfer import TransferStopped

_PARTIAL = re.compile(r"\.(.+\.tar)\.(\d+)\.part")
_SET = re.compile(r".*-[0-9a-f]{16}")
_ROOM = "room"  # the lock of DIR on its size
_LOOK_SECONDS = 0.2
# So long may a shard be gone and yet in use, before that is nothing that passes (another process that looks for it).
_GONE_SECONDS = 10.0
_one_at_a_time = threading.Lock()  # a lock of a process does not exclude its own threads


@dataclass(frozen=True)
class CacheSettings:
    """Where shards that lie elsewhere go; the options of `cache_options`."""

    cache: Path
    cache_gb: float | None = None  # the most gigabytes (10⁹ bytes) in it


def default_cache() -> Path:
    """The folder for shards that are named by a URL, where --cache names none."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "signshards"


def cache_options(command: Callable) -> Callable:
    """`--cache` and `--cache-gb`, the fields of `CacheSettings`."""
    folder = click.option(
        "--cache",
        type=click.Path(path_type=Path, file_okay=False),
        default=default_cache,
        show_default="$XDG_CACHE_HOME or ~/.cache, and in it signshards",
        help="Folder for shards that are named by a URL; a local disk with room for them.",
    )
    size = click.option(
        "--cache-gb",
        type=click.FloatRange(0, min_open=True),
        help="The most gigabytes of shards there; what was used longest ago goes first.  [default: no limit]",
    )
    return folder(size(command))


@dataclass(frozen=True)
class Cache:
    """The cache in a folder; `limit` is the most bytes of shards in it, None for as many as the disk takes."""

    folder: Path
    limit: int | None

    def place(self, slug: str, key: str) -> Path:
        """The folder of a set, made where it is not there.

        Args:
            slug: for people.
            key: what tells the set from every other one.
        """
        name = f"{re.sub(r'[^A-Za-z0-9_]+', '-', slug)[:40]}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        return self.folder / name

    def obtain(self, place: Path, shard: Shard, stop: threading.Event, download: Callable[[Path], None]) -> None:
        """Have a shard in the folder `place` of a set, and hold it until this process ends.

        Where it is missing, one process calls `download` with the path of a partial file, which is to become whole; the
        others wait for it.

        Raises:
            InputError: `download` raises it, or there is no room.
            Stopped: `stop` is set.
        """
        path, locks = place / shard.name, locks_of(place)
        gone_since = None
        while not self.hold(place, shard):
            if locks.own(shard.name):
                try:
                    if not is_there(path, shard):
                        partial = partial_path(place, shard)
                        self._make_room(partial, shard.bytes)
                        download(partial)
                        partial.replace(path)
                except BaseException:
                    locks.release(shard.name)
                    raise
                continue
            if _is_unclaimed(locks, shard.name):
                gone_since = gone_since or time.monotonic()
                if time.monotonic() - gone_since > _GONE_SECONDS:
                    raise InputError(f"{path}: was removed or changed, and a process still uses it; wait for its end")
            else:
                gone_since = None
            if stop.wait(_LOOK_SECONDS):
                raise TransferStopped

    def hold(self, place: Path, shard: Shard) -> bool:
        """Hold a shard, if it is there, until this process ends; False where it is not there, or about to go."""
        path, locks = place / shard.name, locks_of(place)
        if not is_there(path, shard) or not locks.share(shard.name):
            return False
        if not is_there(path, shard):  # removed between the two
            locks.release(shard.name)
            return False
        os.utime(path)
        return True

    def _make_room(self, partial: Path, size: int) -> None:
        """Remove what was used longest ago and is not in use, until `size` bytes more are within the limit; then claim
        them by making the partial file.

        Raises:
            InputError: what is in use leaves no room.
        """
        with self._alone():
            if self.limit is not None and not partial.exists():
                entries = sorted(self._entries(), key=lambda entry: entry.used)
                total = sum(entry.size for entry in entries) + size
                for entry in entries:
                    if total > self.limit and entry.remove():
                        total -= entry.size
                if total > self.limit:
                    raise InputError(
                        f"{self.folder}: {partial.name} needs {gigabytes(size)}, and what is in use leaves less of the "
                        f"{gigabytes(self.limit)} of --cache-gb; give more, or wait for the other commands"
                    )
            partial.touch()

    def _entries(self) -> Iterator["_Entry"]:
        for place in self.folder.iterdir():
            # DIR may hold a user's own shards: those are no cache.
            if not _SET.fullmatch(place.name) or not (place / LOCK_NAME).exists():
                continue
            for path in place.iterdir():
                match = _PARTIAL.fullmatch(path.name)
                if not match and path.suffix != ".tar":
                    continue
                try:
                    status = path.stat()
                except FileNotFoundError:  # renamed by who fetched it
                    continue
                name, size = (match[1], int(match[2])) if match else (path.name, status.st_size)
                yield _Entry(path, name, size, status.st_mtime)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let nobody else change the size of the cache meanwhile."""
        with _one_at_a_time:
            locks = locks_of(self.folder)
            while not locks.own(_ROOM):
                time.sleep(_LOOK_SECONDS / 10)
            try:
                yield
            finally:
                locks.release(_ROOM)


@dataclass(frozen=True)
class _Entry:
    """A shard in the cache, whole or in part."""

    path: Path
    name: str  # of the shard
    size: int  # when it is whole
    used: float

    def remove(self) -> bool:
        """Remove it; False where it is in use."""
        locks = locks_of(self.path.parent)
        if not locks.own(self.name):
            return False
        try:
            self.path.unlink(missing_ok=True)
        finally:
            locks.release(self.name)
        return True


def is_there(path: Path, shard: Shard) -> bool:
    """Whether a file has the size of a shard."""
    try:
        return path.stat().st_size == shard.bytes
    except FileNotFoundError:
        return False


def partial_path(place: Path, shard: Shard) -> Path:
    """Where a shard stands until it is whole."""
    return place / f".{shard.name}.{shard.bytes}.part"


def gigabytes(size: int) -> str:
    """A number of bytes for people."""
    return f"{size / 1e9:.3g} GB" if size >= 1e8 else f"{size / 1e6:.3g} MB"


def _is_unclaimed(locks: FolderLocks, name: str) -> bool:
    """Whether nobody has the lock alone."""
    if not locks.share(name):
        return False
    locks.release(name)
    return True
