"""Runs of `train` in processes of their own: real signals, real exit statuses.

They are forked from a server that has imported torch once, which takes longer than all that such a tiny run does.
"""

import atexit
import multiprocessing
import os
import socket
import time
from contextlib import suppress
from pathlib import Path

from train.ranks.threads import wait_passively

wait_passively()  # inherited by the server and its runs

# The smallest run there is: 4 frames of 32×32 pixels, one attention block.
TINY = "--cnn-weights none --cnn small --sequence-length 4 --image-size 32 --num-layers 1 --num-heads 2 --embed-size 16"

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["train.fit.session", "torch.utils.tensorboard"])


def tiny_arguments(shards: Path, run: Path, *more: object, val: bool = True) -> list[str]:
    """Options of a tiny run over a shard set with train and val."""
    validation = ["--val-shards", f"{shards}/val-*.tar"] if val else []
    arguments = ["--shards", f"{shards}/train-*.tar", *validation, "--run-dir", run, *TINY.split(), "--device", "cpu"]
    return list(map(str, [*arguments, *more]))


def tiny_options(*lines: str) -> list[str]:
    """Options as they are typed."""
    return " ".join(lines).split()


def _train(arguments: list[str], output: Path, environment: dict[str, str], dropout: bool) -> None:
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.environ.update(environment)
    import torch

    import train.models.attention
    from train.cli import main
    from train.data.loader import _end_workers

    # One thread: the tests run beside others on few cores.
    torch.set_num_threads(1)
    if not dropout:
        train.models.attention.DROPOUT = 0.0
    try:
        main(arguments)
    finally:
        # A process of multiprocessing waits for its children before, not after, it runs the functions of atexit.
        _end_workers()


class Run:
    """`train` in one process, or in several ranks of one run."""

    def __init__(self, output: Path, *arguments: object, ranks: int = 1, dropout: bool = True) -> None:
        output.parent.mkdir(parents=True, exist_ok=True)
        self.outputs = [output.with_name(f"{output.name}-{rank}.txt") for rank in range(ranks)]
        port = str(free_port())
        self.processes = []
        for rank, path in enumerate(self.outputs):
            environment = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(ranks), "RANK": str(rank)}
            path.unlink(missing_ok=True)
            process = _context.Process(target=_train, args=(list(map(str, arguments)), path, environment, dropout))
            process.start()
            self.processes.append(process)
        atexit.register(self._end)

    def said(self, rank: int = 0) -> str:
        """What a rank has written so far."""
        path = self.outputs[rank]
        return path.read_text(errors="replace") if path.exists() else ""

    def wait(self, timeout: float = 180) -> list[int | None]:
        """The exit statuses; None for a process that had to be killed because it was still there."""
        end = time.monotonic() + timeout
        for process in self.processes:
            process.join(max(end - time.monotonic(), 0))
        statuses = [process.exitcode for process in self.processes]
        self._end()
        return statuses

    def _end(self) -> None:
        for process in self.processes:
            process.kill()
            process.join()

    def kill(self, number: int, rank: int = 0) -> None:
        """Send a signal; nothing happens where the process has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.processes[rank].pid, number)

    def until(self, condition, timeout: float = 120) -> None:
        """Wait until `condition()` holds or the run has ended."""
        end = time.monotonic() + timeout
        while not condition() and time.monotonic() < end and all(process.is_alive() for process in self.processes):
            time.sleep(0.01)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as connection:
        connection.bind(("127.0.0.1", 0))
        return connection.getsockname()[1]
