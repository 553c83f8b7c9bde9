"""Estimator scripts that stay up for many clips: loading their models costs more than a clip."""

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

from pipeline.errors import ClipError
from pipeline.workers.process import Supervised, last_line, within
from shards.errors import InputError


class ScriptServer:
    """An estimator script with `--serve`, in its own environment: clips in, JSON folders out."""

    def __init__(self, title: str, script: Path, options: Sequence[str], ffmpeg: str | None) -> None:
        # Frozen: only what the lock file beside the script names, with the hashes that stand there.
        command = [find_uv(title), "run", "--quiet", "--no-project", "--frozen", "--script", str(script)]
        self._title = title
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server
        self._child = Supervised(
            [*command, *options, "--serve"],
            os.environ | ({"IMAGEIO_FFMPEG_EXE": ffmpeg} if ffmpeg else {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )

    def ask(self, clip: str, folder: str, seconds: float) -> str | None:
        """Have the JSON of a clip written into a folder; returns why the clip cannot be estimated, None where it was.

        Raises:
            ClipError: the server died or hung: it is of no more use.
        """
        pipes: Any = self._child.process
        try:
            pipes.stdin.write(json.dumps({"video": clip, "write_json": folder}).encode() + b"\n")
            pipes.stdin.flush()
            within(seconds, partial(_await, pipes.stdout))
            answer: dict[str, Any] = json.loads(pipes.stdout.readline())
        except TimeoutError as error:
            raise ClipError(f"{clip}: {self._title} did not finish in {seconds:g} s") from error
        except (BrokenPipeError, ValueError) as error:
            raise ClipError(f"{clip}: {self._title} ended: {self._reason()}") from error
        return answer.get("error")

    def _reason(self) -> str:
        """Why it ended: what uv says of an environment that it cannot build, whose last line is a hint, or the last
        line."""
        self._log.seek(0)
        lines = [line.strip() for line in self._log.read().decode(errors="replace").splitlines()]
        return "; ".join(line for line in lines if line.startswith(("error: ", "cause: "))) or last_line(self._log)

    def end(self) -> None:
        """Kill it and everything it started."""
        self._child.end()


def _await(pipe: IO[bytes], seconds: float) -> None:
    """Wait for bytes in a pipe, or its end; TimeoutError where nothing comes."""
    if not select.select([pipe], [], [], seconds)[0]:
        raise TimeoutError


class _OfThread(threading.local):
    """A server answers one clip at a time. Our own workers have one thread, those of a Dask cluster may have more."""

    owner: Hashable = None
    server: ScriptServer | None = None


_of_thread = _OfThread()


def ask_server(owner: Hashable, start: Callable[[], ScriptServer], clip: str, folder: str, seconds: float) -> None:
    """Have this thread's server write the JSON of a clip into a folder.

    Args:
        owner: the estimator; a server of another one is ended.
        start: starts its server, where the thread has none.
        clip: path of the video.
        folder: where the JSON goes, one file per frame.
        seconds: that it may take.

    Raises:
        ClipError: the clip cannot be read, or the server died or hung (the next clip gets a new one).
    """
    if _of_thread.owner != owner:
        end_server()
    if _of_thread.server is None:
        _of_thread.server, _of_thread.owner = start(), owner
    try:
        error = _of_thread.server.ask(clip, folder, seconds)
    except BaseException:  # whatever happens in the middle of an answer, the next clip must not read its rest
        end_server()
        raise
    if error:
        raise ClipError(f"{clip}: {error}")


def end_server() -> None:
    """End this thread's server; nothing happens where there is none."""
    if _of_thread.server:
        _of_thread.server.end()
    _of_thread.owner = _of_thread.server = None


def find_uv(title: str) -> str:
    """The uv that builds and runs a script's environment: beside our Python, or on PATH.

    Raises:
        InputError: there is none; `title` is the estimator's name.
    """
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if not found:
        raise InputError(
            f"--pose {title.lower()} needs uv to build its environment: pip install 'signshards[mediapipe]'"
        )
    return found
