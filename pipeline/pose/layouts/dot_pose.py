"""`.pose` files, through the `pose-format` package; points are found by the names of component and point."""

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import ClipError
from pipeline.pose.layouts.keypoint_files import one_line, read_file
from pipeline.pose.layouts.layout import FACE, LEFT_HAND, RIGHT_HAND, FileKeypoints, KeypointLayout, mark_missing
from pipeline.pose.layouts.point_tables import LAYOUTS
from shards.errors import InputError

if TYPE_CHECKING:
    from pose_format import Pose

_OPENPOSE_BODY = (
    "Nose Neck RShoulder RElbow RWrist LShoulder LElbow LWrist MidHip RHip RKnee RAnkle LHip LKnee LAnkle "
    "REye LEye REar LEar LBigToe LSmallToe LHeel RBigToe RSmallToe RHeel"
)
_OPENPOSE_HAND = (
    "BASE T_STT T_BCMC T_MCP T_IP I_CMC I_MCP I_PIP I_DIP M_CMC M_MCP M_PIP M_DIP "
    "R_CMC R_MCP R_PIP R_DIP P_CMC P_MCP P_PIP P_DIP"
)
_POSE_LANDMARKS = (
    "NOSE LEFT_EYE_INNER LEFT_EYE LEFT_EYE_OUTER RIGHT_EYE_INNER RIGHT_EYE RIGHT_EYE_OUTER LEFT_EAR RIGHT_EAR "
    "MOUTH_LEFT MOUTH_RIGHT LEFT_SHOULDER RIGHT_SHOULDER LEFT_ELBOW RIGHT_ELBOW LEFT_WRIST RIGHT_WRIST "
    "LEFT_PINKY RIGHT_PINKY LEFT_INDEX RIGHT_INDEX LEFT_THUMB RIGHT_THUMB LEFT_HIP RIGHT_HIP LEFT_KNEE RIGHT_KNEE "
    "LEFT_ANKLE RIGHT_ANKLE LEFT_HEEL RIGHT_HEEL LEFT_FOOT_INDEX RIGHT_FOOT_INDEX"
)
_HAND_LANDMARKS = (
    "WRIST THUMB_CMC THUMB_MCP THUMB_IP THUMB_TIP "
    "INDEX_FINGER_MCP INDEX_FINGER_PIP INDEX_FINGER_DIP INDEX_FINGER_TIP "
    "MIDDLE_FINGER_MCP MIDDLE_FINGER_PIP MIDDLE_FINGER_DIP MIDDLE_FINGER_TIP "
    "RING_FINGER_MCP RING_FINGER_PIP RING_FINGER_DIP RING_FINGER_TIP PINKY_MCP PINKY_PIP PINKY_DIP PINKY_TIP"
)
_FACE_KINDS = 17 * ["FB"] + 10 * ["FEB"] + 9 * ["FN"] + 12 * ["FE"] + 12 * ["FLO"] + 8 * ["FLI"] + 2 * ["FP"]
_OPENPOSE_FACE = " ".join(f"{kind}_{point}" for point, kind in enumerate(_FACE_KINDS))
# Components and the names of their points, in the order of each layout's points; all but the face have to be there.
# POSE_WORLD_LANDMARKS, whose points have the names of POSE_LANDMARKS, is none of them: metres about the hips.
NAMES = {
    "body25": (
        ("pose_keypoints_2d", _OPENPOSE_BODY),
        ("face_keypoints_2d", _OPENPOSE_FACE),
        ("hand_left_keypoints_2d", _OPENPOSE_HAND),
        ("hand_right_keypoints_2d", _OPENPOSE_HAND),
    ),
    "pose-holistic": (
        ("POSE_LANDMARKS", _POSE_LANDMARKS),
        ("FACE_LANDMARKS", " ".join(map(str, range(478)))),
        ("LEFT_HAND_LANDMARKS", _HAND_LANDMARKS),
        ("RIGHT_HAND_LANDMARKS", _HAND_LANDMARKS),
    ),
}
_HANDS_IN_THE_FACE = 42
_LARGEST = 1 << 30  # bytes; Holistic's 543 points of an hour at 30 frames per second have 0.9 GB
# What pose-format makes of damaged files.
_DAMAGE: tuple[type[Exception], ...] = (struct.error, ValueError, LookupError, TypeError, AttributeError)
_DAMAGE += (NotImplementedError, ArithmeticError, MemoryError)


def _read(path: Path) -> "Pose":
    try:
        from pose_format import Pose  # 110 ms, and in the environment only where somebody has such files
    except ImportError as error:
        raise InputError(f"{path}: .pose files need pose-format; pip install 'signshards[pose]'") from error
    try:
        return Pose.read(read_file(path, _LARGEST))
    except _DAMAGE as error:
        raise ClipError(f"{path}: a damaged .pose file ({type(error).__name__}: {one_line(error)})") from error


def look(path: Path) -> KeypointLayout | str:
    """The layout of a `.pose`, or why it cannot be used.

    Raises:
        ClipError: the file is damaged.
        InputError: pose-format is not installed.
    """
    components = {component.name for component in _read(path).header.components}
    for name, parts in NAMES.items():
        if all(component in components or "face" in component.lower() for component, _ in parts):
            return LAYOUTS[name]
    return f"its components are {', '.join(map(ascii, sorted(components))) or 'none'}; body and both hands are needed"


def load(path: Path, layout: KeypointLayout) -> FileKeypoints:
    """The people of every frame, in the order of the layout; points that the file lacks are missing.

    The size is that of Holistic's picture; the one in a file from OpenPose is whatever its writer was told.

    Raises:
        ClipError: the file is damaged, or holds hands where the face's points belong.
        InputError: pose-format is not installed.
    """
    pose = _read(path)
    values, scores = np.ma.getdata(pose.body.data), np.ma.getdata(pose.body.confidence)
    frames, people = values.shape[:2]
    points = np.zeros((frames, people, layout.points, 3))
    first = 0
    for component, names in NAMES[layout.name]:
        for target, source in _places(pose, component, names.split()):
            points[:, :, first + target, :2] = values[:, :, source, :2]
            points[:, :, first + target, 2] = scores[:, :, source]
        first += len(names.split())
    points = mark_missing(points)
    if layout.name == "body25":
        _refuse_hands_in_the_face(path, points, layout)
        return FileKeypoints(points, float(pose.body.fps))
    dimensions = pose.header.dimensions
    return FileKeypoints(points, float(pose.body.fps), (int(dimensions.width), int(dimensions.height)))


def _places(pose: "Pose", component: str, names: list[str]) -> list[tuple[int, int]]:
    """Place among the names, and place in the file, of each point of a component that has one of the names."""
    order = {name: place for place, name in enumerate(names)}
    start = 0
    for candidate in pose.header.components:
        if candidate.name == component:
            return [(order[name], start + place) for place, name in enumerate(candidate.points) if name in order]
        start += len(candidate.points)
    return []


def _refuse_hands_in_the_face(path: Path, points: np.ndarray, layout: KeypointLayout) -> None:
    """Refuse what pose-format's `load_openpose` makes of JSON with hands and without a face.

    An empty list does not advance its counter, so that the hands come to lie in the first 42 places of the face.
    """
    seen = np.asarray(points[..., 2].any(axis=(0, 1)))
    parts = {part.name: seen[start : start + part.points] for part, start in layout.placed()}
    face, hands = parts[FACE], parts[LEFT_HAND] | parts[RIGHT_HAND]
    if face.any() and not hands.any() and not face[_HANDS_IN_THE_FACE:].any():
        raise ClipError(
            f"{path}: hands are never seen, and the face has {_HANDS_IN_THE_FACE} points: pose-format wrote the hands "
            "there, for want of a face in OpenPose's JSON; give that JSON instead"
        )
