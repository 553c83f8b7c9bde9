"""A rank that fails ends the others, with its reason: else they would wait for it, on a GPU for ten minutes.

The reason travels through the store at which the ranks met, over a connection of its own, which a thread looks at.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

import click
import torch.distributed as dist

from shards.errors import InputError, OneLineError, escaped
from train.ranks.distributed import Ranks

_LOOK_SECONDS = 1.0
# Of a failing rank, for the others to read its reason; then it ends, and with rank 0 the store may.
_READ_SECONDS = 5.0
# Of a rank that knows of another's failure, for its main thread, which is in the middle of a step or in vain waits for
# the other, to end by itself.
_GRACE_SECONDS = 10.0
_REASON, _READERS, _LEFT = "reason", "readers", "left"


@contextmanager
def failing_together(ranks: Ranks) -> Iterator[None]:
    """Within this block, an error on one rank ends the processes of all.

    Raises:
        InputError: another rank failed, and this one noticed at a collective operation.
    """
    if ranks.count == 1:
        yield
        return
    board, failed = _Board(ranks), True
    try:
        yield
        failed = False
    except OneLineError as error:
        board.post(_Failure(ranks.rank, error.message, error.exit_code))
        raise
    except Exception as error:
        # What a collective operation raises because another rank has gone says nothing of the reason.
        if failure := board.failure():
            board.acknowledge()
            raise InputError(failure.line(ranks)) from error
        board.post(_Failure(ranks.rank, f"{type(error).__name__}: {error}".splitlines()[0], 1))
        raise
    finally:
        board.close(failed)


@dataclass(frozen=True)
class _Failure:
    rank: int
    reason: str
    status: int  # to exit with

    def line(self, ranks: Ranks) -> str:
        return f"process {self.rank} of {ranks.count} failed: {self.reason}"


class _Board:
    """Where the first rank that fails writes why, and a thread that looks there."""

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        # Not the connection of the process group: it is held by whoever waits for something in it.
        store = dist.TCPStore(
            os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False, timeout=timedelta(minutes=1)
        )
        # torchrun keeps the store when it starts the processes again.
        self._store = dist.PrefixStore(f"signshards/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
        self._guard = threading.Lock()
        self._acknowledged = False
        self._known: _Failure | None = None  # kept: the store goes with the rank that failed
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="failures", daemon=True)
        self._thread.start()

    def close(self, failed: bool) -> None:
        """Stop looking; after a failure, rank 0, which may have the store, leaves last."""
        self._closed.set()
        self._thread.join()
        if not failed:
            return
        with suppress(RuntimeError):
            if not self._ranks.first:
                self._store.add(_LEFT, 1)
            else:
                self._wait_for(_LEFT)

    def _wait_for(self, counter: str) -> None:
        """Wait until all other ranks have counted, but not for long."""
        end = time.monotonic() + _READ_SECONDS
        while time.monotonic() < end:
            with self._guard:
                if self._store.add(counter, 0) >= self._ranks.count - 1:
                    return
            time.sleep(0.1)

    def post(self, failure: _Failure) -> None:
        """Say why this rank fails, unless another was first, and give the others time to read it."""
        text = json.dumps([failure.rank, failure.reason, failure.status])
        try:
            with self._guard:
                written = self._store.compare_set(_REASON, "", text).decode()
            if written != text:
                self.acknowledge()
                return
            self._wait_for(_READERS)
        except RuntimeError:  # the store has gone, with the rank or the torchrun that had it
            return

    def failure(self) -> _Failure | None:
        """Why a rank failed, if one did."""
        with suppress(RuntimeError), self._guard:
            if self._known is None and self._store.check([_REASON]):
                self._known = _Failure(*json.loads(self._store.get(_REASON)))
        return self._known

    def acknowledge(self) -> None:
        """Let the failing rank end: this one knows."""
        with suppress(RuntimeError), self._guard:
            if not self._acknowledged:
                self._store.add(_READERS, 1)
            self._acknowledged = True

    def _watch(self) -> None:
        while not self._closed.wait(_LOOK_SECONDS):
            failure = self.failure()
            if failure is None:
                continue
            if failure.rank == self._ranks.rank:
                return
            self.acknowledge()
            if not self._closed.wait(_GRACE_SECONDS):
                click.echo(f"Error: {escaped(failure.line(self._ranks))}", err=True)
                # The main thread is in C++, where no exception of ours reaches it.
                os._exit(failure.status)
            return
