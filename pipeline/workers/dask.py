"""Running a stage on a Dask cluster (`--scheduler`), whose workers see the same folders by the same names.

Not through joblib's Dask backend: there (joblib 1.6) a task whose workers died never ends, and the run waits for ever,
since the backend calls nobody back about a future that the scheduler gave up. With futures of our own, the scheduler
gives up that one clip.
"""

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from pipeline.errors import RunError
from pipeline.workers.local import Task, execute
from pipeline.workspace.row import FAILED, LedgerRow
from shards.errors import InputError

_CONNECT_SECONDS = 30
# What Dask raises where there is no scheduler, or a wrong address; for tls:// without certificates it is TypeError.
_NO_CLIENT = (OSError, ValueError, TypeError)


class Cluster:
    """A Dask cluster, by the address of its scheduler; `run` may be called for one stage after another.

    Raises:
        InputError: no Dask here, or no scheduler at the address.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
            from distributed.comm import get_address_host_port
        except ImportError as error:
            raise InputError("--scheduler needs Dask: pip install 'signshards[cluster]'") from error
        self.address = address
        # It logs the traceback of a lost scheduler, of which our error says what counts.
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        try:
            # Without a port, a Client would raise only in its thread, and hold up the end of the process for a minute.
            get_address_host_port(address)
            connect = partial(Client, address, timeout=_CONNECT_SECONDS, set_as_default=False)
            self._client = _within(1.5 * _CONNECT_SECONDS, connect)
        except _NO_CLIENT as error:
            raise InputError(f"--scheduler {address}: no Dask scheduler answers there ({error})") from error
        if not self._client.nthreads():
            print(f"{address}: no workers yet; waiting for them", file=sys.stderr)

    def run(self, tasks: Sequence[Task]) -> Iterator[LedgerRow]:
        """Rows as the tasks end, in any order.

        Dask gives a task up when four workers died with it (`distributed.scheduler.allowed-failures`), and it may
        accuse one that only waited on the same workers. So these are tried again, each alone, after all the others.

        Raises:
            OSError: see `local.row_of`.
            RunError: the scheduler is gone.
        """
        accused = []
        for task, row in self._results(tasks):
            if row is None:
                accused.append(task)
            else:
                yield row
        for task in accused:
            for _, row in self._results([task]):
                yield row or LedgerRow(
                    task.id, FAILED, task.fingerprint, error="its worker processes died, four times over"
                )

    def close(self) -> None:
        """Leave the cluster; it drops what we still wanted of it."""
        self._client.close()

    def _results(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, LedgerRow | None]]:
        """Each task with its row, or with None where the workers died with it."""
        from distributed import CancelledError, as_completed
        from distributed.scheduler import KilledWorker

        futures = {self._client.submit(execute, task, pure=False): task for task in tasks}
        try:
            for future in as_completed(futures, loop=self._client.loop):
                task = futures.pop(future)
                try:
                    row = future.result()
                except KilledWorker:
                    row = None
                except CancelledError as error:
                    raise RunError(f"{self.address}: lost the Dask scheduler; run the same command again") from error
                future.release()
                yield task, row
        finally:
            self._client.cancel(list(futures))


def _within(seconds: float, connect: Callable[[], Any]) -> Any:
    """What `connect` gives or raises.

    Where something else than a scheduler listens, Dask (2026.8) waits for ever, whatever its time limit.

    Raises:
        TimeoutError: it took longer.
    """
    answers: SimpleQueue[tuple[Any, Exception | None]] = SimpleQueue()

    def run() -> None:
        try:
            answers.put((connect(), None))
        except _NO_CLIENT as error:
            answers.put((None, error))

    Thread(target=run, daemon=True).start()
    try:
        client, error = answers.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"no answer in {seconds:.0f} s; is it another program's port?") from None
    if error:
        raise error
    return client
