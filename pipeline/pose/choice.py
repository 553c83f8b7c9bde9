"""Which estimator a run uses, and whether its options go with it."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pipeline.pose.estimators import Estimator, MediaPipe, ModelFile, OpenPose, Rtmw
from pipeline.pose.script_server import find_uv
from shards.errors import InputError


@dataclass(frozen=True)
class EstimatorOptions:
    """The options of `pipeline run` that are an estimator's; None and empty: not given."""

    openpose_bin: str | None = None
    openpose_models: Path | None = None
    rtmw_detector: Path | None = None
    rtmw_model: Path | None = None
    person: str | None = None
    no_face: bool = False
    gpus: tuple[str, ...] = ()


# Which sources of keypoints each option is for.
_FOR = {
    "openpose_bin": ("OpenPose",),
    "openpose_models": ("OpenPose",),
    "rtmw_detector": ("RTMW",),
    "rtmw_model": ("RTMW",),
    "person": ("RTMW", "--keypoints"),
    "no_face": ("MediaPipe",),
    "gpus": ("OpenPose", "RTMW"),
}


def refuse_unused(options: EstimatorOptions, source: str, why: str) -> None:
    """Make sure that no option was given that would be without effect.

    Args:
        options: what was given.
        source: "OpenPose", "MediaPipe", "RTMW" or "--keypoints".
        why: the source as the user knows it, for the message.

    Raises:
        InputError: one was.
    """
    for name, sources in _FOR.items():
        if getattr(options, name) and source not in sources:
            option = "--" + name.replace("_", "-")
            raise InputError(f"{option} is for {' and '.join(sources)}, but keypoints come from {why}; leave it out")


def choose_estimator(pose: str | None, options: EstimatorOptions, ffmpeg: str | None = None) -> tuple[Estimator, str]:
    """The estimator to run, and why it is that one.

    Args:
        pose: the one asked for: "openpose", "mediapipe" or "rtmw"; None: OpenPose where it is found, else MediaPipe.
        options: what was given beside it.
        ffmpeg: the binary for the scripts.

    Raises:
        InputError: it is not here, misses a file, or an option would be without effect.
    """
    if pose == "rtmw":
        refuse_unused(options, "RTMW", "RTMW")
        return _rtmw(options, ffmpeg), "RTMW"
    models = options.openpose_models
    if models and not models.is_dir():
        raise InputError(f"{models}: no such folder; --openpose-models is the one with pose/body_135 in it")
    binary = find_openpose(options.openpose_bin) if pose in (None, "openpose") else None
    if binary:
        refuse_unused(options, "OpenPose", f"OpenPose: {binary}")
        return OpenPose(binary, str(models.absolute()) if models else None, options.gpus), f"OpenPose: {binary}"
    if pose == "openpose":
        raise InputError("no OpenPose binary: give --openpose-bin or OPENPOSE_BIN, or use --pose mediapipe")
    if pose not in (None, "mediapipe"):
        raise InputError(f"pose {pose!r} is not known; choose openpose, mediapipe, rtmw or import")
    find_uv("MediaPipe")
    why = "MediaPipe" + ("" if pose else ", since no OpenPose binary was found (--openpose-bin, PATH)")
    refuse_unused(options, "MediaPipe", why)
    return MediaPipe(ffmpeg, face=not options.no_face), why


def _rtmw(options: EstimatorOptions, ffmpeg: str | None) -> Rtmw:
    if not options.rtmw_detector or not options.rtmw_model:
        raise InputError(
            "--pose rtmw needs --rtmw-detector, a YOLOX model of people, and --rtmw-model, an RTMW model, both ONNX"
        )
    if wrong := [gpu for gpu in options.gpus if not gpu.isdigit()]:
        raise InputError(f"--gpus {wrong[0]}: RTMW takes the numbers of GPUs, e.g. 0,1")
    find_uv("RTMW")
    detector, model = ModelFile.read(options.rtmw_detector), ModelFile.read(options.rtmw_model)
    return Rtmw(detector, model, options.person or "largest", options.gpus, ffmpeg)


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
