"""The layouts, one table each: point of BODY_135 = point of the source.

Left is the person's left in all of them. The point lists are those of OpenPose (`poseParametersRender.hpp`),
COCO-WholeBody (Jin et al. 2020) and MediaPipe Holistic; what MediaPipe's and COCO-WholeBody's points become is
`mediapipe_openpose.py`'s and `rtmw_openpose.py`'s.
"""

from dataclasses import replace

from pipeline.pose.layouts.layout import BODY, FACE, FRACTION, LEFT_HAND, PIXELS, RIGHT_HAND, KeypointLayout, PointRun
from pipeline.pose.scripts.mediapipe_openpose import BODY as MEDIAPIPE_TARGETS
from pipeline.pose.scripts.mediapipe_openpose import FACE_MESH, MIN_VISIBILITY, POSE_LANDMARKS
from pipeline.pose.scripts.rtmw_openpose import BODY135 as RTMW_TARGETS
from pipeline.pose.scripts.rtmw_openpose import MIN_SCORE, WHOLEBODY
from shards.body135 import FACE_POINTS, HAND_POINTS

# OpenPose writes a hand wherever it sees a wrist. Where there was none, the mean score of the hand was at most 0.07 in
# 115 frames of a one-handed sign of PSL; where there was one, at least 0.48 in the same clips.
OPENPOSE_HAND_MEAN = 0.1


def _run(target: int, source: int, count: int) -> dict[int, int]:
    return {target + number: source + number for number in range(count)}


def _hand(targets: range) -> dict[int, int]:
    return _run(targets.start, 1, 20)  # point 0, the wrist, has no place of its own


def _parts(body: PointRun, face: PointRun | None, hand: PointRun) -> tuple[PointRun, ...]:
    left = replace(hand, name=LEFT_HAND, body135=_hand(HAND_POINTS["left"]))
    right = replace(hand, name=RIGHT_HAND, body135=_hand(HAND_POINTS["right"]))
    return (body, face, left, right) if face else (body, left, right)


# fmt: off
BODY_25 = {
    0: 0, 1: 16, 2: 15, 3: 18, 4: 17,                                    # nose, eyes, ears (left first, here and below)
    5: 5, 6: 2, 7: 6, 8: 3, 9: 7, 10: 4,                                 # shoulders, elbows, wrists
    11: 12, 12: 9, 13: 13, 14: 10, 15: 14, 16: 11,                       # hips, knees, ankles
    19: 19, 20: 20, 21: 21, 22: 22, 23: 23, 24: 24,                      # big toe, small toe, heel of either foot
}                                                                        # dropped: Neck 1, MidHip 8
# fmt: on
_WHOLEBODY = PointRun(BODY, 133, dict(zip(RTMW_TARGETS, WHOLEBODY, strict=True)), min_score=MIN_SCORE)
MEDIAPIPE_BODY = dict(zip(MEDIAPIPE_TARGETS, POSE_LANDMARKS, strict=True))
# Without refined landmarks the mesh has 468 points, and so no pupils (468 and 473).
REFINED_FACE = dict(zip(FACE_POINTS, FACE_MESH, strict=True))
MEDIAPIPE_FACE = {target: point for target, point in REFINED_FACE.items() if point < 468}

_HAND = PointRun(LEFT_HAND, 21, {})
_OPENPOSE_HAND = replace(_HAND, min_mean_score=OPENPOSE_HAND_MEAN)
_OPENPOSE_FACE = PointRun(FACE, 70, _run(FACE_POINTS.start, 0, 70))
# MediaPipe gives a visibility for the body alone; in arrays of (x, y, z) there is none.
_POSE = PointRun(BODY, 33, MEDIAPIPE_BODY, numbers=4, score=3, min_score=MIN_VISIBILITY)
_UPPER_POSE = replace(_POSE, points=25, body135={to: point for to, point in MEDIAPIPE_BODY.items() if point < 25})
_MESH = PointRun(FACE, 468, MEDIAPIPE_FACE, score=None)
_REFINED_MESH = PointRun(FACE, 478, REFINED_FACE, score=None)
_MEDIAPIPE_HAND = replace(_HAND, score=None)


def _mediapipe(pose: PointRun, mesh: PointRun | None) -> tuple[PointRun, ...]:
    return _parts(pose, mesh, _MEDIAPIPE_HAND)


def _without_visibility(parts: tuple[PointRun, ...]) -> tuple[PointRun, ...]:
    """The parts of a flat array of x, y, z for every point."""
    return tuple(replace(part, numbers=3, score=None) for part in parts)


def _mediapipe_in(order: str) -> tuple[PointRun, ...]:
    """The parts of an array (T, 543, 2 to 4) in another order."""
    parts = {part.name: part for part in _mediapipe(_POSE, _MESH)}
    return tuple(parts[name] for name in order.split())


_LAYOUTS = (
    KeypointLayout("body135", "OpenPose BODY_135", (PointRun(BODY, 135, _run(0, 0, 135)),)),
    KeypointLayout(
        "body25", "OpenPose BODY_25 with hands", _parts(PointRun(BODY, 25, BODY_25), _OPENPOSE_FACE, _OPENPOSE_HAND)
    ),
    KeypointLayout(
        "body25b",
        "OpenPose BODY_25B with hands",
        _parts(PointRun(BODY, 25, _run(0, 0, 25)), _OPENPOSE_FACE, _OPENPOSE_HAND),
    ),
    KeypointLayout("wholebody133", "COCO-WholeBody 133", (_WHOLEBODY,)),
    KeypointLayout("mediapipe1662", "MediaPipe 33×4 + 468×3 + 2×21×3", _mediapipe(_POSE, _MESH), FRACTION),
    KeypointLayout("mediapipe1692", "MediaPipe 33×4 + 478×3 + 2×21×3", _mediapipe(_POSE, _REFINED_MESH), FRACTION),
    KeypointLayout("mediapipe258", "MediaPipe 33×4 + 2×21×3", _mediapipe(_POSE, None), FRACTION),
    KeypointLayout("mediapipe226", "MediaPipe 25×4 + 2×21×3", _mediapipe(_UPPER_POSE, None), FRACTION),
    KeypointLayout("mediapipe1629", "MediaPipe 543×3", _without_visibility(_mediapipe(_POSE, _MESH)), FRACTION),
    KeypointLayout("mediapipe225", "MediaPipe 75×3", _without_visibility(_mediapipe(_POSE, None)), FRACTION),
    KeypointLayout("mediapipe543", "MediaPipe (543, 2 to 4): body, face, hands", _mediapipe(_POSE, _MESH)),
    KeypointLayout("mediapipe553", "MediaPipe (553, 2 to 4): body, face, hands", _mediapipe(_POSE, _REFINED_MESH)),
    KeypointLayout("mediapipe75", "MediaPipe (75, 2 to 4), OpenHands", _mediapipe(_POSE, None)),
    KeypointLayout("asl-citizen", "ASL Citizen's (543, 2)", _mediapipe_in("body right_hand left_hand face")),
    KeypointLayout("gislr", "Google ISLR's (543, 2 or 3)", _mediapipe_in("face left_hand body right_hand")),
    KeypointLayout("pose-holistic", ".pose of MediaPipe Holistic", _mediapipe(_POSE, _REFINED_MESH), PIXELS),
)
LAYOUTS = {layout.name: layout for layout in _LAYOUTS}

READABLE = (
    "OpenPose BODY_135, BODY_25 or BODY_25B with hands (a folder of --write_json), COCO-WholeBody 133 (npy, npz, pkl), "
    "MediaPipe with body and hands (npy of 1662, 543×k, 258 …, a file a clip or a frame), Google ISLR (parquet), "
    ".pose of OpenPose or Holistic, our keypoints/*.npy (T, 135, 3)"
)
