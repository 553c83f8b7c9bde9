"""Pose estimators that run on a clip, OpenPose and MediaPipe, and which of them a run uses.

Each is a frozen dataclass that travels to the workers: `name` and `version` go into fingerprints (`name` also into
`dataset.json`), `estimate` gives a clip's keypoints. Keypoints that are there already are read by `openpose_json` (from
folders) and `keypoint_archive`.
"""

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from pipeline.errors import ClipError
from pipeline.pose.mediapipe_openpose import VERSION
from pipeline.pose.openpose_json import read_folder
from pipeline.workers.process import Supervised, json_folder, last_line, run_child
from pipeline.workspace.fingerprint import stamp
from shards.errors import InputError

# Seconds that a clip may take: OpenPose needs up to 5 s for a frame on a CPU, and the first clip of a worker also waits
# for the models, or for MediaPipe's environment to be built.
TIME_LIMIT = 900.0
TIME_LIMIT_PER_FRAME = 20.0
_MEDIAPIPE_SCRIPT = Path(__file__).with_name("mediapipe_openpose.py")


@dataclass(frozen=True)
class OpenPose:
    """The real binary, with the command line of the 2021 entry."""

    binary: str
    models: str | None  # its models folder
    gpus: tuple[str, ...]  # clip number i runs on GPU i mod n; empty: whatever CUDA_VISIBLE_DEVICES says
    name: str = "openpose"

    @property
    def version(self) -> Any:
        """OpenPose has no dependable --version; size and time of the binary and of the weights tell what it is."""
        weights = sorted(Path(self.models, "pose", "body_135").glob("*")) if self.models else []
        return [stamp(self.binary), [[path.name, stamp(path)] for path in weights]]

    def estimate(self, clip: str, frames: int, number: int) -> np.ndarray:
        """float32 (T, 135, 3) keypoints of a clip of T frames; `number` is its place in the plan.

        Raises:
            ClipError: OpenPose fails, hangs, or does not give every frame.
        """
        environment = dict(os.environ)
        if self.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self.gpus[number % len(self.gpus)]
        with json_folder() as folder:
            command = [self.binary, "--render_pose", "0", "--number_people_max", "1", "--display", "0"]
            command += ["--video", clip, "--write_json", folder, "--model_pose", "BODY_135"]
            if self.models:
                command += ["--model_folder", self.models]
            run_child(command, environment, time_limit(frames), clip)
            return read_folder(Path(folder), frames)


@dataclass(frozen=True)
class MediaPipe:
    """MediaPipe Holistic in an environment of its own (see `mediapipe_openpose.py`), one server per worker process."""

    ffmpeg: str | None = None  # None: $IMAGEIO_FFMPEG_EXE, else that of its own environment
    name: str = "mediapipe 0.10.21"

    @property
    def version(self) -> Any:
        """The script's own, which names MediaPipe's release; a comment in the script may change, keypoints stay."""
        return VERSION

    def estimate(self, clip: str, frames: int, number: int) -> np.ndarray:
        """float32 (T, 135, 3) keypoints of a clip of T frames.

        Raises:
            ClipError: the estimator fails, hangs, or does not give every frame.
        """
        with json_folder() as folder:
            _server(self.ffmpeg).ask(clip, folder, time_limit(frames))
            return read_folder(Path(folder), frames)


class _MediaPipeServer:
    """The script with `--serve`: clips in, JSON folders out. Loading the models costs more than a clip, so it stays
    up."""

    def __init__(self, ffmpeg: str | None) -> None:
        command = [_uv(), "run", "--quiet", "--no-project", "--script", str(_MEDIAPIPE_SCRIPT), "--serve"]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server
        environment = os.environ | ({"IMAGEIO_FFMPEG_EXE": ffmpeg} if ffmpeg else {})
        self._child = Supervised(command, environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log)

    def ask(self, clip: str, folder: str, seconds: float) -> None:
        """Have the JSON of a clip written into a folder.

        Raises:
            ClipError: the clip cannot be read, or the server died or hung (the next clip gets a new one).
        """
        answer: dict[str, Any] = {}
        requests, answers = (cast(IO[bytes], pipe) for pipe in (self._child.process.stdin, self._child.process.stdout))
        try:
            requests.write(json.dumps({"video": clip, "write_json": folder}).encode() + b"\n")
            requests.flush()
            ready, _, _ = select.select([answers], [], [], seconds)
            if not ready:
                raise ClipError(f"{clip}: MediaPipe did not finish in {seconds:g} s")
            answer = json.loads(answers.readline())
        except (BrokenPipeError, ValueError) as error:
            raise ClipError(f"{clip}: MediaPipe ended: {last_line(self._log)}") from error
        finally:
            if not answer:
                del _of_thread.server
                self._child.end()
        if "error" in answer:
            raise ClipError(f"{clip}: {answer['error']}")


# A server answers one clip at a time. Our own workers have one thread, those of a Dask cluster may have more.
_of_thread = threading.local()


def _server(ffmpeg: str | None) -> _MediaPipeServer:
    if not hasattr(_of_thread, "server"):
        _of_thread.server = _MediaPipeServer(ffmpeg)
    return _of_thread.server


def time_limit(frames: int) -> float:
    """Seconds that an estimator may take for a clip of this many frames."""
    return TIME_LIMIT + TIME_LIMIT_PER_FRAME * frames


def _uv() -> str:
    """The uv that builds and runs MediaPipe's environment: beside our Python, or on PATH.

    Raises:
        InputError: there is none.
    """
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if not found:
        raise InputError("--pose mediapipe needs uv to build its environment: pip install 'signshards[mediapipe]'")
    return found


def find_openpose(named: str | None) -> str | None:
    """The OpenPose binary: the one named by the user, else $OPENPOSE_BIN, else openpose.bin or openpose on PATH.

    Its path is absolute: workers of a cluster do not share our working directory.

    Raises:
        InputError: a binary was named, and there is none.
    """
    named = named or os.environ.get("OPENPOSE_BIN")
    if named:
        if not (found := shutil.which(named)):
            raise InputError(f"{named}: no such program; --openpose-bin and OPENPOSE_BIN name OpenPose's binary")
    else:
        found = shutil.which("openpose.bin") or shutil.which("openpose")
    return str(Path(found).absolute()) if found else None


Estimator = OpenPose | MediaPipe


def choose_estimator(
    pose: str | None,
    openpose_bin: str | None,
    openpose_models: str | None,
    gpus: tuple[str, ...],
    ffmpeg: str | None = None,
) -> tuple[Estimator, str]:
    """The estimator to run, and why it is that one.

    Raises:
        InputError: the one asked for is not here.
    """
    binary = find_openpose(openpose_bin) if pose in (None, "openpose") else None
    if binary:
        return OpenPose(binary, openpose_models, gpus), f"OpenPose: {binary}"
    if pose == "openpose":
        raise InputError("no OpenPose binary: give --openpose-bin or OPENPOSE_BIN, or use --pose mediapipe")
    _uv()
    return MediaPipe(ffmpeg), "MediaPipe" + (
        "" if pose else ", since no OpenPose binary was found (--openpose-bin, PATH)"
    )
