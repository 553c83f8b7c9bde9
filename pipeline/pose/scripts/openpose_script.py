"""What the estimator scripts share: OpenPose's command line and JSON, `--serve`, a clip's frames, a constructed neck.

The scripts run in environments of their own, without the project's: this module lies beside them and imports nothing
but numpy and Python's library.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

# A clip is only a clip: the demuxers of recorded video. Not those that open other files: DASH, HLS, concat, playlists,
# and image2, to which a file named `x%03d.jpg` is all pictures x000.jpg, x001.jpg, … The whole pipeline has this list.
DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,h264,hevc,obu,ivf,asf,flv,swf,ogg,gif,mxf,nut,"
    "rm,dv,wtv,yuv4mpegpipe,jpeg_pipe,png_pipe,webp_pipe"
)

POINTS = 135
NOSE, LEFT_EYE, RIGHT_EYE, LEFT_EAR, RIGHT_EAR, LEFT_SHOULDER, RIGHT_SHOULDER = range(7)
UPPER_NECK, HEAD_TOP = 17, 18

# Positions on the line from the middle of the shoulders (0) to the middle of the ears (1). Drillis and Contini's body
# proportions, in heights: shoulders 0.818, chin 0.870, eyes (level with the ears) 0.936, crown 1.000; so the chin lies
# at 0.44 and the crown at 1.54. OpenPose's UpperNeck is the throat below the chin, and hair adds to the crown. The neck
# length is then 0.79 shoulder widths (median of the KArSL clips); it is 0.82 in the released keypoints of autsl-mini.
# A nod turns about the ears, so the length, by which pose flow is divided, varies less within a clip than it does when
# taken from the nose (standard deviation 0.8 % against 1.1 %).
UPPER_NECK_AT, HEAD_TOP_AT = 0.3, 1.6

# OpenPose's other lists of a person: empty under BODY_135, which has hands and face among its 135 points.
_EMPTY_LISTS = ["face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d", "pose_keypoints_3d"]
_EMPTY_LISTS += ["face_keypoints_3d", "hand_left_keypoints_3d", "hand_right_keypoints_3d"]

# What else the pipeline gives OpenPose, each with the one value that is true here.
_OPENPOSE_OPTIONS = {"model_pose": "BODY_135", "number_people_max": "1", "display": "0", "render_pose": "0"}

# The keypoints of every frame of a clip, (135, 3), None where nobody was found.
Estimate = Callable[[str], list[np.ndarray | None]]


class EstimatorError(Exception):
    """A clip, or a model, that cannot be used; one line that names it and says why."""


def add_neck(points: np.ndarray, head: np.ndarray | None) -> None:
    """Set UpperNeck and HeadTop of (135, 3) points, where shoulders and nose are seen, scored as the least certain.

    `head` is the (x, y) of the middle of the ears, which need not be seen: a hidden ear still has its place.
    """
    score = points[[NOSE, LEFT_SHOULDER, RIGHT_SHOULDER], 2].min()
    if score and head is not None:
        shoulders = (points[LEFT_SHOULDER, :2] + points[RIGHT_SHOULDER, :2]) / 2
        for index, position in ((UPPER_NECK, UPPER_NECK_AT), (HEAD_TOP, HEAD_TOP_AT)):
            points[index] = (*(shoulders + position * (head - shoulders)), score)


def head_of(points: np.ndarray) -> np.ndarray | None:
    """(x, y) of the middle of the ears of (135, 3) points, or of the eyes, which are level with them; None: no pair."""
    for pair in (points[[LEFT_EAR, RIGHT_EAR]], points[[LEFT_EYE, RIGHT_EYE]]):
        if (pair[:, 2] > 0).all():
            middle: np.ndarray = pair[:, :2].mean(axis=0)
            return middle
    return None


def outside(points: np.ndarray, width: float, height: float) -> np.ndarray:
    """bool (N,): which of (N, ≥ 2) points lie outside of a picture, where OpenPose has none and others guess."""
    return np.any((points[:, :2] < 0) | (points[:, :2] >= (width, height)), axis=1)


def openpose_json(points: np.ndarray | None) -> dict[str, Any]:
    """A frame as OpenPose writes it, from (135, 3) keypoints; `people` is empty for None or where all are missing."""
    if points is None or not points.any():
        return {"version": 1.3, "people": []}
    person = {"person_id": [-1], "pose_keypoints_2d": points.round(3).ravel().tolist()}
    return {"version": 1.3, "people": [person | {name: [] for name in _EMPTY_LISTS}]}


def clip_frames(clip: str) -> Iterator[np.ndarray]:
    """Every frame of a clip once, whatever its time stamp, upright: uint8 (height, width, 3), RGB.

    FFmpeg decodes, as in the pipeline's other stages, so that frame numbers agree; as PPM, which says its size. Of
    several video streams the first that is no cover picture is the clip; where the pipeline takes another one, it hands
    over a copy of that.

    Raises:
        EstimatorError: FFmpeg fails, or finds no frame.
    """
    import imageio_ffmpeg

    # "file:" and the whitelists: a clip's name is never a URL, and a playlist renamed to mp4 opens nothing else.
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner", "-loglevel", "error"]
    command += ["-protocol_whitelist", "file", "-format_whitelist", DEMUXERS, "-i", f"file:{clip}"]
    command += ["-map", "0:V:0", "-fps_mode", "passthrough", "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24"]
    found = False
    with tempfile.TemporaryFile() as log:
        with subprocess.Popen([*command, "-"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log) as process:
            while (frame := _read_ppm(process.stdout)) is not None:
                found = True
                yield frame
        if process.returncode or not found:
            log.seek(0)
            raise EstimatorError(f"{clip}: not a readable video ({_reason(log.read().decode(errors='replace'))})")


def _reason(log: str) -> str:
    if "not on whitelist" in log:
        return "it is no recorded video: a list of other files, or of a rare kind"
    return (log.strip().splitlines() or ["it holds no frame"])[-1]


def _read_ppm(pipe: IO[bytes] | None) -> np.ndarray | None:
    """The next picture of a stream of binary PPM; None at its end."""
    if pipe is None:
        return None
    header = [pipe.readline() for _ in ("P6", "width height", "255")]
    if not header[-1]:
        return None
    width, height = map(int, header[1].split())
    pixels = pipe.read(width * height * 3)
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3) if len(pixels) == width * height * 3 else None


def write_clip(clip: str, folder: str, estimate: Estimate) -> int:
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


def answer(request: str, estimate: Estimate) -> dict[str, Any]:
    """The answer to one line of `--serve`: the number of frames, or why the clip, or the line itself, fails."""
    try:
        fields = json.loads(request)
    except ValueError:
        fields = None
    if not isinstance(fields, dict) or not all(isinstance(fields.get(key), str) for key in ("video", "write_json")):
        return {"video": None, "error": 'not a request; it takes {"video": CLIP, "write_json": DIR}'}
    try:
        return {"video": fields["video"], "frames": write_clip(fields["video"], fields["write_json"], estimate)}
    except (EstimatorError, OSError) as error:
        return {"video": fields["video"], "error": one_line(error)}


def one_line(error: Exception) -> str:
    """What an exception says, without line breaks."""
    return " ".join(str(error).split())


def run_script(
    arguments: Sequence[str] | None,
    parser: argparse.ArgumentParser,
    version: str,
    load: Callable[[argparse.Namespace], Estimate],
) -> int:
    """The command line of an estimator; `parser` has the options of this one, `load` makes it ready.

    Returns:
        The exit status: 2 for a wrong command line, model or clip.
    """
    parser.add_argument("--video", metavar="CLIP", help="the clip to estimate")
    parser.add_argument("--write_json", metavar="DIR", help="where to write one JSON per frame")
    parser.add_argument("--serve", action="store_true", help="take clips from stdin, one JSON line each, until it ends")
    for option, value in _OPENPOSE_OPTIONS.items():
        parser.add_argument(f"--{option}", choices=[value], help="accepted for OpenPose's sake")
    parser.add_argument("--version", action="version", version=version)
    options = parser.parse_args(arguments)
    if [options.video is None, options.write_json is None] != [options.serve] * 2:
        parser.error("give --video and --write_json, or --serve alone")
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)  # from here on, what libraries print to stdout, in Python or in C, goes to stderr
        try:
            estimate = load(options)
            if not options.serve:
                write_clip(options.video, options.write_json, estimate)
                return 0
        except (EstimatorError, OSError) as error:
            print(f"Error: {one_line(error)}", file=sys.stderr)
            return 2
        for request in sys.stdin:
            print(json.dumps(answer(request, estimate)), file=answers, flush=True)
    return 0
