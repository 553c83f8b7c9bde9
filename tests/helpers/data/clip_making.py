"""Small clips, keypoints and pipeline runs, made here with FFmpeg; and where the golden figures are."""

import json
import subprocess
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from pipeline.cli import main as pipeline

SHARED = Path(__file__).parents[4] / "shared"
GOLDEN = Path(__file__).parents[2] / "golden"


def make_clip(ffmpeg: str, path: Path, frames: int, size: str = "160x120", *, gray: bool = False) -> None:
    """A test pattern with moving parts, as H.264."""
    look = ["-vf", "format=gray,format=yuv420p"] if gray else ["-pix_fmt", "yuv420p"]
    command = [ffmpeg, "-loglevel", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=30"]
    subprocess.run([*command, "-frames:v", str(frames), *look, "-preset", "ultrafast", str(path)], check=True)


def moving_keypoints(frames: int, seed: int, scale: float = 1.0) -> np.ndarray:
    """(T, 135, 3) of a body in a 160×120 picture whose hands circle; the right wrist is lost in two frames."""
    random = np.random.default_rng(seed)
    keypoints = np.zeros((frames, 135, 3))
    keypoints[..., :2] = random.uniform(40, 100, (135, 2)) + random.normal(0, 0.5, (frames, 135, 2))
    turn = np.linspace(0, 2 * np.pi, frames)[:, None]
    circle = 10 * np.concatenate([np.cos(turn), np.sin(turn)], axis=1)
    keypoints[:, 5, :2], keypoints[:, 6, :2] = (100, 50), (60, 50)
    keypoints[:, 17, :2], keypoints[:, 18, :2] = (80, 45), (80, 18)
    keypoints[:, 7, :2], keypoints[:, 8, :2] = (108, 80), (52, 80)
    keypoints[:, 9, :2], keypoints[:, 10, :2] = np.add((110, 70), circle), np.subtract((50, 70), circle)
    keypoints[:, 0, :2] = (80, 28)
    for first, wrist in ((25, 9), (45, 10)):
        keypoints[:, first : first + 20, :2] = keypoints[:, [wrist], :2] + random.uniform(-6, 6, (20, 2))
    keypoints[..., 2] = 0.9
    keypoints[frames // 2 : frames // 2 + 2, 10] = 0
    keypoints[..., :2] *= scale
    return keypoints.round(3)


def write_keypoints(folder: Path, stem: str, keypoints: np.ndarray) -> None:
    """OpenPose's JSON, one file per frame."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(keypoints):
        people = [{"person_id": [-1], "pose_keypoints_2d": frame.reshape(-1).tolist()}]
        path = folder / f"{stem}_{number:012d}_keypoints.json"
        path.write_text(json.dumps({"version": 1.3, "people": people}))


def run_pipeline(data: Path, work: Path, *more: str, keypoints: str = "kp") -> int:
    """`pipeline run` with keypoints that are there already; returns the exit status, with the output on failure."""
    arguments = ["run", "--data", str(data / "mp4"), "--labels", str(data / "labels.csv"), "--work", str(work)]
    arguments += ["--pose", "import", "--keypoints", str(data / keypoints), *more]
    arguments += [] if "--scheduler" in more else ["--jobs", "1"]
    result = CliRunner().invoke(pipeline, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    print(result.output)
    return result.exit_code


def make_pattern(ffmpeg: str, path: Path, *arguments: str, size: str = "160x120") -> str:
    """FFmpeg's moving test pattern, 2 s at 30 frames per second, as the arguments want it."""
    command = [
        ffmpeg,
        "-loglevel",
        "error",
        "-y",
        "-f",
        "lavfi",
        "-i",
        f"testsrc2=size={size}:rate=30:duration=2",
        *arguments,
    ]
    subprocess.run([*command, "-preset", "ultrafast", str(path)], check=True, timeout=30)
    return str(path)


def hanging_ffmpeg(folder: Path, marker: str) -> str:
    """An FFmpeg that hangs, and has started something that hangs."""
    path = folder / "ffmpeg"
    path.write_text(f"#!/bin/sh\nexport TEST_MARKER={marker}\nsleep 60 &\nsleep 60\n")
    path.chmod(0o755)
    return str(path)
