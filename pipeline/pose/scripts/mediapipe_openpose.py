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

    uv run --no-project --frozen --script pipeline/pose/scripts/mediapipe_openpose.py --video CLIP --write_json DIR
    uv run --no-project --frozen --script pipeline/pose/scripts/mediapipe_openpose.py --serve

With `--serve`, each line {"video": CLIP, "write_json": DIR} on stdin is answered by a line {"video": CLIP, "frames": N}
or {"video": CLIP, "error": REASON} on stdout, until stdin ends. MediaPipe's own messages go to stderr.

It has an environment of its own (above, every package with its hash in `mediapipe_openpose.py.lock`): 0.10.21 is the
last MediaPipe whose wheel carries its models, and it needs numpy < 2. Without that environment the module can still be
imported, for the mapping and the version. Of the project it imports `openpose_script.py` alone, which lies beside it.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

if __name__ != "__main__":
    from pipeline.pose.scripts import openpose_script
else:  # run by uv, in an environment without the project: it lies beside this file
    import openpose_script  # type: ignore[import-not-found, no-redef]

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
HAND = list(range(1, 21))  # MediaPipe has OpenPose's order, after the wrist
LEFT_HAND, RIGHT_HAND, FACE = slice(25, 45), slice(45, 65), slice(65, 135)

# The usual 68-point layout in the face mesh (jaw from the person's right to left, brows, nose, eyes, outer and inner
# lips), then the right and the left pupil: the middles of the irises.
FACE_MESH = [162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389]
FACE_MESH += [71, 63, 105, 66, 107, 336, 296, 334, 293, 301, 168, 197, 5, 4, 75, 97, 2, 326, 305]
FACE_MESH += [33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380]
FACE_MESH += [61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87, 468, 473]


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
    points = np.zeros((openpose_script.POINTS, 3))
    points[BODY] = body[POSE_LANDMARKS]
    # Before any is dropped: a hidden ear still has its place.
    ears = points[[openpose_script.LEFT_EAR, openpose_script.RIGHT_EAR], :2].mean(axis=0)
    points[(points[:, 2] < MIN_VISIBILITY) | openpose_script.outside(points, 1, 1)] = 0
    openpose_script.add_neck(points, ears)
    parts = ((LEFT_HAND, left_hand, HAND), (RIGHT_HAND, right_hand, HAND), (FACE, face, FACE_MESH))
    for rows, landmarks, order in parts:
        if landmarks is not None:
            points[rows, :2] = landmarks[order, :2]
            points[rows, 2] = 1
    points[openpose_script.outside(points, 1, 1)] = 0
    points[:, :2] *= size
    return points


def _rows(landmarks: Any) -> np.ndarray | None:
    """MediaPipe's list of landmarks as (points, 3) rows of x, y, visibility."""
    if landmarks is None:
        return None
    return np.array([(point.x, point.y, point.visibility) for point in landmarks.landmark])


def estimate(clip: str, face: bool = True) -> list[np.ndarray | None]:
    """The keypoints of every frame, (135, 3) as in `to_body135`, None where nobody was found.

    Without `face` its 70 points are missing; the others are the same to the bit.

    Raises:
        EstimatorError: the clip cannot be decoded, or MediaPipe fails on it.
    """
    keypoints: list[np.ndarray | None] = []
    # A new graph for each clip: it loads the models in 0.2 s. So does a reset, with the same keypoints to the bit; a
    # graph that goes on, even after black frames in which it loses the person, gives others. What serving saves is the
    # 2 s import.
    with _holistic(face) as holistic:
        for frame in openpose_script.clip_frames(clip):
            try:
                seen = holistic.process(frame)
            except (RuntimeError, ValueError) as error:
                raise openpose_script.EstimatorError(
                    f"{clip}: MediaPipe fails at frame {len(keypoints)} ({openpose_script.one_line(error)})"
                ) from error
            body, left, right = (
                _rows(part) for part in (seen.pose_landmarks, seen.left_hand_landmarks, seen.right_hand_landmarks)
            )
            mesh = _rows(seen.face_landmarks) if face else None
            size = (frame.shape[1], frame.shape[0])
            keypoints.append(None if body is None else to_body135(body, left, right, mesh, size))
    return keypoints


def _holistic(face: bool) -> Any:
    """MediaPipe's graph, started. Smoothing divides the jitter of elbows and wrists by 5 to 7, and the wrists stay as
    near to the (unsmoothed) hand model's as without."""
    from mediapipe.python.solutions.holistic import Holistic

    if face:
        return Holistic(model_complexity=1, smooth_landmarks=True, refine_face_landmarks=True)
    # Holistic has no such option: its graph without the node that looks for the face, which no other node needs.
    import mediapipe
    from mediapipe.framework.calculator_pb2 import CalculatorGraphConfig
    from mediapipe.python.solution_base import SolutionBase

    file = Path(mediapipe.__file__).parent / "modules" / "holistic_landmark" / "holistic_landmark_cpu.binarypb"
    graph = CalculatorGraphConfig.FromString(file.read_bytes())
    graph.node.remove(next(node for node in graph.node if node.calculator == "FaceLandmarksFromPoseCpu"))
    graph.output_stream.remove("FACE_LANDMARKS:face_landmarks")
    graph.input_side_packet.remove("REFINE_FACE_LANDMARKS:refine_face_landmarks")
    settings = {"model_complexity": 1, "smooth_landmarks": True, "use_prev_landmarks": True}
    settings |= {"enable_segmentation": False, "smooth_segmentation": True}
    outputs = ["pose_landmarks", "left_hand_landmarks", "right_hand_landmarks"]
    return SolutionBase(graph_config=graph, side_inputs=settings, outputs=outputs)


def _load(options: argparse.Namespace) -> openpose_script.Estimate:
    return partial(estimate, face=not options.no_face)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 2 for a wrong command line or clip."""
    parser = argparse.ArgumentParser(description="MediaPipe Holistic as OpenPose's BODY_135", allow_abbrev=False)
    parser.add_argument("--no-face", action="store_true", help="leave out the 70 points of the face")
    return openpose_script.run_script(arguments, parser, VERSION, _load)


if __name__ == "__main__":
    # The script's own folder comes first on the path: its neighbours must not stand in for a library's modules.
    sys.path = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).resolve().parent]
    sys.exit(main())
