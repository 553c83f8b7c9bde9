"""Pose estimators that run on a clip: OpenPose, MediaPipe and RTMW.

Each is a frozen dataclass that travels to the workers: `name` and `version` go into fingerprints (`name` also into
`dataset.json`), `estimate` gives a clip's keypoints. Keypoints that are there already are read by `layouts`,
`openpose_json` (from folders) and `keypoint_archive`.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ClipError
from pipeline.pose.openpose_json import read_folder
from pipeline.pose.script_server import ScriptServer, ask_server
from pipeline.pose.scripts import mediapipe_openpose, rtmw_openpose
from pipeline.workers.process import json_folder, run_child
from pipeline.workspace.fingerprint import stamp
from shards.errors import InputError
from shards.format.dataset import sha256_of

# Seconds that a clip may take: OpenPose needs up to 5 s for a frame on a CPU, and the first clip of a worker also waits
# for the models, or for an environment to be built.
TIME_LIMIT = 900.0
TIME_LIMIT_PER_FRAME = 20.0
MEDIAPIPE_SCRIPT, RTMW_SCRIPT, RTMW_CUDA_SCRIPT = (
    Path(__file__).parent / "scripts" / f"{name}.py"
    for name in ("mediapipe_openpose", "rtmw_openpose", "rtmw_openpose_cuda")
)


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
            return read_folder(Path(folder), frames, clip)


@dataclass(frozen=True)
class MediaPipe:
    """MediaPipe Holistic in an environment of its own (see `mediapipe_openpose.py`), one server per worker process."""

    ffmpeg: str | None = None  # None: $IMAGEIO_FFMPEG_EXE, else that of its own environment
    face: bool = True  # without: its 70 points are missing, all others the same

    @property
    def name(self) -> str:
        """MediaPipe's release, and what is left out: pose flow is of all points."""
        return "mediapipe 0.10.21" + ("" if self.face else " without face")

    @property
    def version(self) -> Any:
        """The script's own, which names MediaPipe's release; a comment in the script may change, keypoints stay."""
        return mediapipe_openpose.VERSION

    def estimate(self, clip: str, frames: int, number: int) -> np.ndarray:
        """float32 (T, 135, 3) keypoints of a clip of T frames.

        Raises:
            ClipError: the estimator fails, hangs, or does not give every frame.
        """
        with json_folder() as folder:
            ask_server(self, self._start, clip, folder, time_limit(frames))
            return read_folder(Path(folder), frames, clip)

    def _start(self) -> ScriptServer:
        return ScriptServer("MediaPipe", MEDIAPIPE_SCRIPT, [] if self.face else ["--no-face"], self.ffmpeg)


@dataclass(frozen=True)
class ModelFile:
    """A user's model file, as the run found it."""

    path: str
    sha256: str

    @classmethod
    def read(cls, path: Path) -> "ModelFile":
        """The file with its checksum.

        Raises:
            InputError: it cannot be read.
        """
        try:
            return cls(str(path.absolute()), sha256_of(path))
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}; it should be an ONNX model") from error

    def refuse_changed(self) -> None:
        """Make sure that it is still the same, here, on the worker's machine.

        Raises:
            ClipError: it is not, or cannot be read.
        """
        try:
            now = ModelFile.read(Path(self.path))
        except InputError as error:
            raise ClipError(str(error)) from error
        if now != self:
            raise ClipError(f"{self.path}: is not the model that the run began with; put that back, or start again")


@dataclass(frozen=True)
class Rtmw:
    """RTMW with the user's model files, in an environment of its own (see `rtmw_openpose.py`), one server per worker
    process."""

    detector: ModelFile
    model: ModelFile
    person: str = "largest"  # whom to follow, of several: see `scripts/person.py`
    gpus: tuple[str, ...] = ()  # a worker's server runs on GPU i mod n, for the number i of its first clip; empty: CPU
    ffmpeg: str | None = None  # None: $IMAGEIO_FFMPEG_EXE, else that of its own environment

    @property
    def name(self) -> str:
        """It names the model by its checksum: RTMW comes in several sizes, which place points differently."""
        return f"rtmw {self.model.sha256[:12]}"

    @property
    def version(self) -> Any:
        """The script's own, the models' checksums, and who is followed."""
        return [rtmw_openpose.VERSION, self.detector.sha256, self.model.sha256, self.person]

    def estimate(self, clip: str, frames: int, number: int) -> np.ndarray:
        """float32 (T, 135, 3) keypoints of a clip of T frames; `number` is its place in the plan.

        Raises:
            ClipError: the estimator fails, hangs, or does not give every frame; a model file was changed.
        """
        with json_folder() as folder:
            ask_server(self, lambda: self._start(number), clip, folder, time_limit(frames))
            return read_folder(Path(folder), frames, clip)

    def _start(self, number: int) -> ScriptServer:
        self.detector.refuse_changed()
        self.model.refuse_changed()
        options = ["--detector", self.detector.path, "--model", self.model.path, "--person", self.person]
        if self.gpus:
            options += ["--gpu", self.gpus[number % len(self.gpus)]]
        return ScriptServer("RTMW", RTMW_CUDA_SCRIPT if self.gpus else RTMW_SCRIPT, options, self.ffmpeg)


def time_limit(frames: int) -> float:
    """Seconds that an estimator may take for a clip of this many frames."""
    return TIME_LIMIT + TIME_LIMIT_PER_FRAME * frames


Estimator = OpenPose | MediaPipe | Rtmw
