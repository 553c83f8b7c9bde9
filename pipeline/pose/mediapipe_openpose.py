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
numpy < 2. Without that environment the module can still be imported, for the mapping and the version. It imports
nothing of the project, which that environment lacks.
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
from typing import IO, Any

import numpy as np

# Fingerprints have this line and nothing else of the script: raise the first number whenever the keypoints of a clip
# can change, be it by the code or by a pin above; clips that are done are then estimated again.
VERSION = "mediapipe-openpose 1 (mediapipe 0.10.21)"

# A body point of lower visibility is missing: it would be a guess behind something or beyond the picture. 0.5 is the
# threshold of MediaPipe's own drawings. Of the points inside the picture in 62 KArSL clips it drops 28 % of the hips
# (all in the lowest 6 %) and 2 % of the right wrists (in the lowest 14 %, none with a hand found), and no others.
MIN_VISIBILITY = 0.5

# BODY_135 points and the MediaPipe pose landmarks they come from; for LSmallToe (20) and RSmallToe (23) there is none.
BODY = [*range(17), 19, 21, 22, 24]
POSE_LANDMARKS = [0, 2, 5, 7, 8, *range(11, 17), *range(23, 29), 31, 29, 32, 30]
NOSE, LEFT_EAR, RIGHT_EAR, LEFT_SHOULDER, RIGHT_SHOULDER, UPPER_NECK, HEAD_TOP = 0, 3, 4, 5, 6, 17, 18
HAND = list(range(1, 21))  # MediaPipe has OpenPose's order, after the wrist
LEFT_HAND, RIGHT_HAND, FACE = slice(25, 45), slice(45, 65), slice(65, 135)

# Positions on the line from the middle of the shoulders (0) to the middle of the ears (1). Drillis and Contini's body
# proportions, in heights: shoulders 0.818, chin 0.870, eyes (level with the ears) 0.936, crown 1.000; so the chin lies
# at 0.44 and the crown at 1.54. OpenPose's UpperNeck is the throat below the chin, and hair adds to the crown. The neck
# length is then 0.79 shoulder widths (median of the KArSL clips); it is 0.82 in the released keypoints of autsl-mini.
# A nod turns about the ears, so the length, by which pose flow is divided, varies less within a clip than it does when
# taken from the nose (standard deviation 0.8 % against 1.1 %).
UPPER_NECK_AT, HEAD_TOP_AT = 0.3, 1.6

# The usual 68-point layout in the face mesh (jaw from the person's right to left, brows, nose, eyes, outer and inner
# lips), then the right and the left pupil: the middles of the irises.
FACE_MESH = [162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389]
FACE_MESH += [71, 63, 105, 66, 107, 336, 296, 334, 293, 301, 168, 197, 5, 4, 75, 97, 2, 326, 305]
FACE_MESH += [33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380]
FACE_MESH += [61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87, 468, 473]

# OpenPose's other lists of a person: empty under BODY_135, which has hands and face among its 135 points.
EMPTY_LISTS = ["face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d", "pose_keypoints_3d"]
EMPTY_LISTS += ["face_keypoints_3d", "hand_left_keypoints_3d", "hand_right_keypoints_3d"]

# What else the pipeline gives OpenPose, each with the one value that is true here.
OPENPOSE_OPTIONS = {"model_pose": "BODY_135", "number_people_max": "1", "display": "0", "render_pose": "0"}


class ClipError(Exception):
    """A clip that cannot be estimated; one line that names it and says why."""


def to_body135(
    body: np.ndarray,
    left_hand: np.ndarray | None,
    right_hand: np.ndarray | None,
    face: np.ndarray | None,
    size: tuple[int, int],
) -> np.ndarray:
    """The BODY_135 keypoints of what MediaPipe Holistic found in one frame, `size` = (width, height) pixels.

    The landmarks are (points, 3) rows of x and y, as fractions of the picture, and visibility, in MediaPipe's order:
    33 of the body, 21 of each hand (its wrist is left out: BODY_135 has that among the body's points), 478 of the face;
    None for what was not found. Left is the person's left in both. Scores are the visibility for the body, and 1 for
    hands and face, where MediaPipe gives none. Points outside of the picture are missing, as they are in OpenPose:
    MediaPipe extrapolates them.

    Returns:
        float64 (135, 3): x, y in pixels, score; a missing point is (0, 0, 0).
    """
    points = np.zeros((135, 3))
    points[BODY] = body[POSE_LANDMARKS]
    ears = (points[LEFT_EAR, :2] + points[RIGHT_EAR, :2]) / 2  # before any is dropped: a hidden ear still has its place
    points[(points[:, 2] < MIN_VISIBILITY) | _outside(points)] = 0
    _add_neck(points, ears)
    parts = ((LEFT_HAND, left_hand, HAND), (RIGHT_HAND, right_hand, HAND), (FACE, face, FACE_MESH))
    for rows, landmarks, order in parts:
        if landmarks is not None:
            points[rows, :2] = landmarks[order, :2]
            points[rows, 2] = 1
    points[_outside(points)] = 0
    points[:, :2] *= size
    return points


def _outside(points: np.ndarray) -> np.ndarray:
    return ((points[:, :2] < 0) | (points[:, :2] >= 1)).any(axis=1)


def _add_neck(points: np.ndarray, ears: np.ndarray) -> None:
    """Set UpperNeck and HeadTop where both shoulders and the nose are seen, scored as the least certain of these."""
    score = points[[NOSE, LEFT_SHOULDER, RIGHT_SHOULDER], 2].min()
    if score:
        shoulders = (points[LEFT_SHOULDER, :2] + points[RIGHT_SHOULDER, :2]) / 2
        for index, position in ((UPPER_NECK, UPPER_NECK_AT), (HEAD_TOP, HEAD_TOP_AT)):
            points[index] = (*(shoulders + position * (ears - shoulders)), score)


def openpose_json(points: np.ndarray | None) -> dict[str, Any]:
    """A frame as OpenPose writes it, from (135, 3) keypoints; `people` is empty for None or where all are missing."""
    if points is None or not points.any():
        return {"version": 1.3, "people": []}
    person = {"person_id": [-1], "pose_keypoints_2d": points.round(3).ravel().tolist()}
    return {"version": 1.3, "people": [person | {name: [] for name in EMPTY_LISTS}]}


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


def _read_ppm(pipe: IO[bytes]) -> np.ndarray | None:
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

    keypoints = []
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
    # The script's own folder comes first on the path: its neighbours must not stand in for a library's modules.
    sys.path = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).resolve().parent]
    sys.exit(main())
