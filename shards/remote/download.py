"""One file from elsewhere: tried again when it fails, resumed where it can be, and checked.

A try counts as failed when it brought less than 1 MiB that was not there before; so a line that breaks now and then
does not end a download that goes on.
"""

import hashlib
import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from shards.errors import InputError
from shards.files import open_no_link, writing
from shards.format.dataset import Shard
from shards.remote.transfer import RangeError, TransferError, TransferStopped, transfer
from shards.remote.urls import RemoteFolder

Result = TypeVar("Result")
_TRIES = 6
_FIRST_PAUSE = 1.0  # seconds; doubled after every failure
_LONGEST_PAUSE = 60.0
_LONGEST_RETRY_AFTER = 300.0
_PROGRESS = 1 << 20


class ContentError(Exception):
    """What came is not what dataset.json says."""


@dataclass
class Download:
    """What all files of one command share.

    `stop` ends every transfer; `report` is told the number of bytes that came (negative: they have to come again).
    """

    stop: threading.Event
    report: Callable[[int], None]

    def content(self, folder: RemoteFolder, name: str, limit: int) -> bytes:
        """A small file.

        Raises:
            InputError: it cannot be fetched, or is longer than `limit` bytes.
            Stopped: `stop` is set.
        """

        def attempt() -> bytes:
            data = bytearray()
            with transfer(folder.url(name), 0, self.stop) as source:
                for chunk in source.chunks():
                    data += chunk
                    if len(data) > limit:
                        raise InputError(
                            f"{folder.shown(name)}: longer than {limit} bytes, so it is not what it should be"
                        )
            return bytes(data)

        return self._tried(attempt, folder.shown(name), lambda: 0)

    def shard(self, folder: RemoteFolder, shard: Shard, partial: Path) -> None:
        """A shard into `partial`, after what is there already; when this returns, it is whole.

        Raises:
            InputError: it cannot be fetched, or is not what `shard` says.
            OSError: it cannot be written.
            Stopped: `stop` is set.
        """

        def there() -> int:
            return partial.stat().st_size if partial.exists() else 0

        def attempt() -> None:
            try:
                with writing(partial):
                    self._append(folder.url(shard.name), shard, partial)
            except RangeError:
                self._discard(partial)
                raise

        shown = folder.shown(shard.name)
        self.report(there())
        try:
            self._tried(attempt, shown, there)
        except ContentError:
            # A part from before may be of another version, or a proxy has an old one. Twice is no accident.
            self._discard(partial)
            try:
                self._tried(attempt, shown, there)
            except ContentError as error:
                self._discard(partial)
                raise InputError(f"{shown}: {error}; was the set changed, or damaged where it lies?") from None

    def _discard(self, partial: Path) -> None:
        self.report(-partial.stat().st_size)
        partial.unlink()

    def _append(self, url: str, shard: Shard, partial: Path) -> None:
        digest = hashlib.sha256()
        with open(partial, "r+b", opener=_open_or_make) as file:
            start = 0
            while chunk := file.read(1 << 20):
                digest.update(chunk)
                start += len(chunk)
            if start < shard.bytes:
                with transfer(url, start, self.stop) as source:
                    if source.start < start:
                        self.report(-start)
                        file.seek(0)
                        file.truncate()
                        digest, start = hashlib.sha256(), 0
                    for chunk in source.chunks():
                        file.write(chunk)
                        digest.update(chunk)
                        start += len(chunk)
                        self.report(len(chunk))
                        if start > shard.bytes:
                            break
                os.fsync(file.fileno())
        if start > shard.bytes:
            raise ContentError(f"longer than the {shard.bytes} bytes in dataset.json")
        if start < shard.bytes:
            raise TransferError(f"ended after {start} of {shard.bytes} bytes")
        if digest.hexdigest() != shard.sha256:
            raise ContentError("its SHA-256 is not that in dataset.json")

    def _tried(self, attempt: Callable[[], Result], shown: str, there: Callable[[], int]) -> Result:
        """What `attempt` returns, in the end. `there` tells how much of the file there is."""
        failures, most = 0, there()
        while True:
            try:
                return attempt()
            except TransferError as error:
                if there() >= most + _PROGRESS:
                    failures = 0
                failures, most = failures + 1, max(most, there())
                if not error.transient or failures >= _TRIES or (error.retry_after or 0) > _LONGEST_RETRY_AFTER:
                    raise InputError(_failure(shown, error, failures)) from None
                pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (failures - 1)) * random.uniform(1, 1.25)  # noqa: S311
                if self.stop.wait(max(pause, error.retry_after or 0)):
                    raise TransferStopped from None


def _open_or_make(path: str, flags: int) -> int:
    return open_no_link(path, flags | os.O_CREAT)


def _failure(shown: str, error: TransferError, failures: int) -> str:
    if not error.transient:
        return f"{shown}: cannot be fetched: {error}"
    tries = f"{failures} tries" if failures > 1 else "1 try"
    later = f", and asks to wait {error.retry_after:.0f} s" if error.retry_after else ""
    return f"{shown}: cannot be fetched ({tries}): {error}{later}; the same command goes on where this one ended"
