"""The BODY_135 skeleton of a signer in motion: arms that reach the wrists, fingers, face."""

import numpy as np
from numpy.typing import NDArray

from pipeline.demo.signer import Body
from pipeline.demo.signs import LEFT, RIGHT, Motion
from shards import body135

FINGERS = [body135.HAND_POINTS[hand] for hand in body135.HANDS]
SHOULDERS, ELBOWS = (body135.LEFT_SHOULDER, body135.RIGHT_SHOULDER), (body135.LEFT_ELBOW, body135.RIGHT_ELBOW)
WRISTS, HIPS = (body135.LEFT_WRIST, body135.RIGHT_WRIST), (body135.LEFT_HIP, body135.RIGHT_HIP)
_SIDES = np.array([1.0, -1.0])  # x of the left and of the right side: the picture is not mirrored

# One hand in hand lengths, as (towards the thumb, along the hand), palm to the camera: knuckles of index … little
# finger, the lengths of the three bones after each, and the angles at which they fan out when spread.
_KNUCKLES = np.array([[0.17, 0.48], [0.05, 0.50], [-0.07, 0.47], [-0.18, 0.42]])
_BONES = np.array([[0.24, 0.15, 0.12], [0.27, 0.17, 0.12], [0.25, 0.16, 0.12], [0.19, 0.12, 0.10]])
_FAN = np.radians([17.0, 4.0, -10.0, -26.0])
# A folded finger: how far each bone has turned towards the palm.
_FOLD = np.radians([85.0, 180.0, 230.0])
_THUMB_BASE = np.array([0.13, 0.14])
_THUMB_BONES = np.array([0.19, 0.16, 0.13])
_THUMB_STRAIGHT, _THUMB_FOLDED = np.radians([55.0, 48.0, 44.0]), np.radians([25.0, -30.0, -75.0])


def figure_keypoints(body: Body, motion: Motion) -> NDArray[np.float64]:
    """(T, 135, 3): x and y in pixels, z in shoulder widths towards the camera. Legs are not drawn and stay NaN.

    Wrists out of the arms' reach are pulled in to it.
    """
    frames = len(motion.wrists)
    points = np.full((frames, body135.POINTS, 3), np.nan)
    points[:, SHOULDERS] = np.stack([0.5 * _SIDES, np.zeros(2), np.zeros(2)], axis=-1)
    points[:, HIPS] = np.stack([body.waist * _SIDES, np.full(2, 1.45), np.zeros(2)], axis=-1)
    points[:, ELBOWS], points[:, WRISTS] = _arms(body, points[:, SHOULDERS], motion.wrists)
    points[:, body135.UPPER_NECK] = 0, -0.13, 0
    head = _head(body.head)
    points[:, :5], points[:, body135.HEAD_TOP], points[:, body135.FACE_POINTS] = head[:5], head[5], head[6:]
    fingers = _fingers(motion) * body.hand
    for hand in (LEFT, RIGHT):
        points[:, FINGERS[hand]] = points[:, WRISTS[hand], None] + fingers[:, hand]
    points[..., :2] = points[..., :2] * body.unit + (body.x, body.y)
    return points


def _arms(body: Body, shoulders: NDArray, targets: NDArray) -> tuple[NDArray, NDArray]:
    """Elbows and wrists (T, 2, 3) of two-bone arms (law of cosines); elbows hang down, outwards and a little back."""
    reach = targets - shoulders
    distance = np.linalg.norm(reach, axis=-1, keepdims=True)
    direction = reach / np.maximum(distance, 1e-6)
    longest, shortest = body.upper_arm + body.forearm, abs(body.upper_arm - body.forearm)
    distance = np.clip(distance, shortest + 0.02, longest - 0.02)
    along = (body.upper_arm**2 - body.forearm**2 + distance**2) / (2 * distance)
    aside = np.sqrt(np.maximum(body.upper_arm**2 - along**2, 0))
    pole = np.stack([0.6 * _SIDES, np.ones(2), np.full(2, -0.3)], axis=-1)
    pole = pole - (pole * direction).sum(axis=-1, keepdims=True) * direction
    pole = pole / np.maximum(np.linalg.norm(pole, axis=-1, keepdims=True), 1e-6)
    return shoulders + along * direction + aside * pole, shoulders + distance * direction


def _fingers(motion: Motion) -> NDArray:
    """(T, 2, 20, 3): the hand points relative to the wrist, in hand lengths."""
    curls, spread = motion.curls[..., 1:], motion.spread[..., None]
    fold = curls[..., None] * _FOLD
    steps = np.cumsum(_BONES * np.cos(fold), axis=-1)
    lift = np.cumsum(_BONES * np.sin(fold), axis=-1)
    fan = (_FAN * spread)[..., None]
    thumb, along = _KNUCKLES[:, :1] + steps * np.sin(fan), _KNUCKLES[:, 1:] + steps * np.cos(fan)
    knuckles = np.zeros((*curls.shape, 1, 3)) + np.column_stack([_KNUCKLES, np.zeros(4)])[:, None]
    fingers = np.concatenate([knuckles, np.stack([thumb, along, lift], axis=-1)], axis=-2)
    points = np.concatenate([_thumb(motion.curls[..., 0])[..., None, :, :], fingers], axis=-3)
    points = points.reshape(*curls.shape[:2], 20, 3)
    sine, cosine = np.sin(motion.angle)[..., None], np.cos(motion.angle)[..., None]
    x = _SIDES[:, None] * (points[..., 1] * sine - points[..., 0] * cosine)
    y = -points[..., 1] * cosine - points[..., 0] * sine
    return np.stack([x, y, points[..., 2]], axis=-1)


def _thumb(curl: NDArray) -> NDArray:
    """(T, 2, 4, 3): the thumb moves in the plane of the palm, just before it."""
    angles = _THUMB_STRAIGHT + curl[..., None] * (_THUMB_FOLDED - _THUMB_STRAIGHT)
    bones = np.stack([np.sin(angles), np.cos(angles), 0.5 * curl[..., None] * np.ones(3)], axis=-1)
    steps = np.cumsum(bones * _THUMB_BONES[:, None], axis=-2)
    base = np.append(_THUMB_BASE, 0.0)
    return np.concatenate([np.zeros((*curl.shape, 1, 3)) + base, base + steps], axis=-2)


def _head(scale: float) -> NDArray:
    """(76, 3): BODY_135 points 0–4, head top, and the 70 face points, in shoulder widths."""

    def curve(x: float, y: float, width: float, height: float, degrees: NDArray) -> list[tuple[float, float]]:
        turn = np.radians(degrees)
        return list(zip(x + width * np.sin(turn), y + height * np.cos(turn), strict=True))

    eyes = [(-0.11, -0.06), (0.11, -0.06)]  # the picture's left eye first, as in the 68-point layout
    jaw = curve(0, 0, 0.28, 0.4, np.linspace(-100, 100, 17))
    brows = [point for x, y in eyes for point in curve(x, y, 0.08, 0.08, np.linspace(230, 130, 5))]
    nose = [(0.0, y) for y in (-0.05, 0.0, 0.04, 0.09)] + curve(0, 0.1, 0.05, 0.02, np.linspace(-90, 90, 5))
    lids = [point for x, y in eyes for point in curve(x, y, 0.045, 0.022, np.arange(-90, -450, -60))]
    mouth = curve(0, 0.23, 0.1, 0.035, np.arange(-90, -450, -30))
    mouth += curve(0, 0.23, 0.07, 0.01, np.arange(-90, -450, -45))
    body = [(0.0, 0.09), eyes[1], eyes[0], (0.29, -0.03), (-0.29, -0.03), (0.0, -0.43)]
    flat = np.array(body + jaw + brows + nose + lids + mouth + eyes) * scale + (0, -0.17 - 0.4 * scale)
    return np.column_stack([flat, np.full(len(flat), 0.1)])
