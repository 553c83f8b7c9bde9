# /// script
# requires-python = ">=3.10,<3.13"
# dependencies = [
#     "mediapipe==0.10.21",
#     "numpy==1.26.4",
#     "protobuf==4.25.9",
#     "opencv-contrib-python-headless==4.11.0.86",
#     "imageio-ffmpeg==0.8.1",
# ]
#
# [tool.uv]
# # MediaPipe asks for these, but Holistic never imports them: 522 MB instead of 871. And OpenCV's windows, which the
# # headless build leaves out, need libGL and X11, absent on many a cluster node.
# override-dependencies = [
#     "jax; python_version < '3'",
#     "jaxlib; python_version < '3'",
#     "sentencepiece; python_version < '3'",
#     "opencv-contrib-python; python_version < '3'",
# ]
# ///
"""A pose estimator with OpenPose's command line: MediaPipe Holistic, mapped to BODY_135, one JSON per frame.

    uv run --no-project --script pipeline/pose/mediapipe_openpose.py --video CLIP --write_json DIR
    uv run --no-project --script pipeline/pose/mediapipe_openpose.py --serve

With `--serve`, each line {"video": CLIP, "write_json": DIR} on stdin is answered by a line {"video": CLIP, "frames": N}
or {"video": CLIP, "error": REASON} on stdout, until stdin ends. MediaPipe's own messages go to stderr.

It has an environment of its own (above): 0.10.21 is the last MediaPipe whose wheel carries its models, and it needs
numpy < 2. Without that environment the module can still be imported, for the version. Of the project, which that
environment lacks, it imports its neighbor `mediapipe_body135.py` and nothing else.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

try:
    from pipeline.pose.mediapipe_body135 import openpose_json, to_body135
except ImportError:  # in the environment above, where this file's folder is on the path
    from mediapipe_body135 import openpose_json, to_body135  # type: ignore[import-not-found,no-redef]

# Fingerprints have this line and nothing else of the script: raise the first number whenever the keypoints of a clip
# can change, be it by the code or by a pin above; clips that are done are then estimated again.
VERSION = "mediapipe-openpose 1 (mediapipe 0.10.21)"

# What else the pipeline gives OpenPose, each with the one value that is true here.
OPENPOSE_OPTIONS = {"model_pose": "BODY_135", "number_people_max": "1", "display": "0", "render_pose": "0"}


class ClipError(Exception):
    """A clip that cannot be estimated; one line that names it and says why."""


def clip_frames(clip: str) -> Iterator[np.ndarray]:
    """Every coded frame of a clip once, whatever its time stamp, upright: uint8 (height, width, 3), RGB.

    FFmpeg decodes, as in the pipeline's other stages, so that frame numbers agree; as PPM, which says its size.

    Raises:
        ClipError: FFmpeg fails, or finds no frame.
    """
    import imageio_ffmpeg

    # "file:" and the whitelist: a clip's name is never a URL, and a playlist renamed to mp4 opens nothing else.
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner", "-loglevel", "error"]
    command += ["-protocol_whitelist", "file", "-i", f"file:{clip}", "-map", "0:v:0", "-fps_mode", "passthrough"]
    command += ["-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-"]
    found = False
    with tempfile.TemporaryFile() as log:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log) as process:
            while (frame := _read_ppm(process.stdout)) is not None:
                found = True
                yield frame
        if process.returncode or not found:
            log.seek(0)
            reason = log.read().decode(errors="replace").strip().splitlines() or ["it holds no frame"]
            raise ClipError(f"{clip}: not a readable video ({reason[-1]})")


def _read_ppm(pipe: Any) -> np.ndarray | None:
    """The next picture of a stream of binary PPM; None at its end."""
    header = [pipe.readline() for _ in ("P6", "width height", "255")]
    if not header[-1]:
        return None
    width, height = map(int, header[1].split())
    pixels = pipe.read(width * height * 3)
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3) if len(pixels) == width * height * 3 else None


def _rows(landmarks: Any) -> np.ndarray | None:
    """MediaPipe's list of landmarks as (points, 3) rows of x, y, visibility."""
    return landmarks and np.array([(point.x, point.y, point.visibility) for point in landmarks.landmark])


def estimate(clip: str) -> list[np.ndarray | None]:
    """The keypoints of every frame, (135, 3) as in `to_body135`, None where nobody was found.

    Raises:
        ClipError: the clip cannot be decoded, or MediaPipe fails on it.
    """
    from mediapipe.python.solutions.holistic import Holistic

    keypoints: list[np.ndarray | None] = []
    # A new graph for each clip, so that nothing of the clip before is left. It loads the models in 0.2 s; so does a
    # reset, with the same keypoints to the bit. What serving saves is the 2 s import. Smoothing divides the jitter of
    # elbows and wrists by 5 to 7, and the wrists stay as near to the (unsmoothed) hand model's as without.
    with Holistic(model_complexity=1, smooth_landmarks=True, refine_face_landmarks=True) as holistic:
        for frame in clip_frames(clip):
            try:
                seen = holistic.process(frame)
            except (RuntimeError, ValueError) as error:
                raise ClipError(f"{clip}: MediaPipe fails at frame {len(keypoints)} ({_line(error)})") from error
            body, left, right = _rows(seen.pose_landmarks), seen.left_hand_landmarks, seen.right_hand_landmarks
            others = (_rows(left), _rows(right), _rows(seen.face_landmarks))
            keypoints.append(None if body is None else to_body135(body, *others, size=frame.shape[1::-1]))
    return keypoints


def write_clip(clip: str, folder: str) -> int:
    """Estimate a clip and write `<stem>_<frame:012d>_keypoints.json` for each frame; returns the number of frames.

    Nothing is written before the whole clip is estimated; later frames of an earlier clip of that name are removed.
    """
    keypoints = estimate(clip)
    target, stem = Path(folder), Path(clip).stem
    target.mkdir(parents=True, exist_ok=True)
    for index, points in enumerate(keypoints):
        path = target / f"{stem}_{index:012d}_keypoints.json"
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(openpose_json(points)))
        partial.replace(path)
    name = re.compile(re.escape(stem) + r"_(\d{12})_keypoints\.json")
    for path in list(target.iterdir()):
        if (match := name.fullmatch(path.name)) and int(match[1]) >= len(keypoints):
            path.unlink()
    return len(keypoints)


def answer(request: str) -> dict[str, Any]:
    """The answer to one line of `--serve`: the number of frames, or why the clip, or the line itself, fails."""
    try:
        fields = json.loads(request)
    except ValueError:
        fields = None
    if not isinstance(fields, dict) or not all(isinstance(fields.get(key), str) for key in ("video", "write_json")):
        return {"video": None, "error": 'not a request; it takes {"video": CLIP, "write_json": DIR}'}
    try:
        return {"video": fields["video"], "frames": write_clip(fields["video"], fields["write_json"])}
    except (ClipError, OSError) as error:
        return {"video": fields["video"], "error": _line(error)}


def serve() -> None:
    """Answer the requests on stdin until it ends, one line for each on stdout."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)  # from here on, what libraries print to stdout, in Python or in C, goes to stderr
        for request in sys.stdin:
            print(json.dumps(answer(request)), file=answers, flush=True)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 2 for a wrong command line or clip."""
    parser = argparse.ArgumentParser(description="MediaPipe Holistic as OpenPose's BODY_135", allow_abbrev=False)
    parser.add_argument("--video", metavar="CLIP", help="the clip to estimate")
    parser.add_argument("--write_json", metavar="DIR", help="where to write one JSON per frame")
    parser.add_argument("--serve", action="store_true", help="take clips from stdin, one JSON line each, until it ends")
    for option, value in OPENPOSE_OPTIONS.items():
        parser.add_argument(f"--{option}", choices=[value], help="accepted for OpenPose's sake")
    parser.add_argument("--version", action="version", version=VERSION)
    options = parser.parse_args(arguments)
    if [options.video is None, options.write_json is None] != [options.serve] * 2:
        parser.error("give --video and --write_json, or --serve alone")
    try:
        if options.serve:
            serve()
        else:
            write_clip(options.video, options.write_json)
    except (ClipError, OSError) as error:
        print(f"Error: {_line(error)}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    # The script's own folder comes first on the path: its neighbors must not stand in for a library's modules.
    sys.path = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).resolve().parent]
    sys.exit(main())
