"""A drawn signer in motion: the BODY_135 skeleton, and the picture and depth map of one frame.

What is drawn hangs on the skeleton's own points, so keypoints and pixels agree by construction.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.demo.signer import SIZE, Body, Colour, Look
from pipeline.demo.signs import Motion
from shards.body135 import (
    FACE_POINTS,
    HAND_POINTS,
    HANDS,
    HEAD_TOP,
    LEFT_ELBOW,
    LEFT_HIP,
    LEFT_SHOULDER,
    LEFT_WRIST,
    POINTS,
    RIGHT_ELBOW,
    RIGHT_HIP,
    RIGHT_SHOULDER,
    RIGHT_WRIST,
    UPPER_NECK,
)

HAND_START = [HAND_POINTS[hand].start for hand in HANDS]
FACE_START = FACE_POINTS.start
SHOULDERS, ELBOWS = (LEFT_SHOULDER, RIGHT_SHOULDER), (LEFT_ELBOW, RIGHT_ELBOW)
WRISTS, HIPS = (LEFT_WRIST, RIGHT_WRIST), (LEFT_HIP, RIGHT_HIP)
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


def skeleton(body: Body, motion: Motion) -> NDArray[np.float64]:
    """(T, 135, 3): x and y in pixels, z in shoulder widths towards the camera. Legs are not drawn and stay NaN.

    Wrists out of the arms' reach are pulled in to it.
    """
    frames = len(motion.wrists)
    points = np.full((frames, POINTS, 3), np.nan)
    points[:, SHOULDERS] = np.stack([0.5 * _SIDES, np.zeros(2), np.zeros(2)], axis=-1)
    points[:, HIPS] = np.stack([body.waist * _SIDES, np.full(2, 1.45), np.zeros(2)], axis=-1)
    points[:, ELBOWS], points[:, WRISTS] = _arms(body, points[:, SHOULDERS], motion.wrists)
    points[:, UPPER_NECK] = 0, -0.13, 0
    head = _head(body.head)
    points[:, :5], points[:, HEAD_TOP], points[:, FACE_START:] = head[:5], head[5], head[6:]
    fingers = _fingers(motion) * body.hand
    for hand, start in enumerate(HAND_START):
        points[:, start : start + 20] = points[:, WRISTS[hand], None] + fingers[:, hand]
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
    mouth = curve(0, 0.23, 0.1, 0.035, np.arange(-90, -450, -30)) + curve(
        0, 0.23, 0.07, 0.01, np.arange(-90, -450, -45)
    )
    body = [(0.0, 0.09), eyes[1], eyes[0], (0.29, -0.03), (-0.29, -0.03), (0.0, -0.43)]
    flat = np.array(body + jaw + brows + nose + lids + mouth + eyes) * scale + (0, -0.17 - 0.4 * scale)
    return np.column_stack([flat, np.full(len(flat), 0.1)])


class _Shape(NamedTuple):
    """One stroke: `kind` and `points` as ImageDraw wants them; `part` gives the colour, `z` the depth."""

    kind: str
    points: list[tuple[float, float]]
    width: float
    part: str
    z: float


def _shapes(points: NDArray, body: Body, look: Look) -> Iterator[_Shape]:
    """A frame's strokes from back to front; the arm that is nearer comes last."""
    unit, z = body.unit, np.nan_to_num(points[:, 2])
    at = [tuple(point) for point in points[:, :2].tolist()]
    trunk = [at[5], at[6], at[12], at[11]]
    lap = [trunk[2], trunk[3], (trunk[3][0] + 0.3 * unit, 2 * SIZE), (trunk[2][0] - 0.3 * unit, 2 * SIZE)]
    yield _Shape("polygon", lap, 0, "dark", 0.2)
    yield _Shape("polygon", trunk, 0, "clothes", 0)
    yield _Shape("line", [*trunk, trunk[0], trunk[1]], 0.22 * unit, "clothes", 0)
    yield from _head_shapes(at, unit * body.head)
    for hand in sorted((0, 1), key=lambda side: z[WRISTS[side]]):
        shoulder, elbow, wrist = at[SHOULDERS[hand]], at[ELBOWS[hand]], at[WRISTS[hand]]
        middle = (z[ELBOWS[hand]] + z[WRISTS[hand]]) / 2
        sleeve, hem = ("sleeve", "clothes") if look.long_sleeves else ("skin", "edge")
        yield _Shape("line", [shoulder, elbow], 0.25 * unit, "sleeve", z[ELBOWS[hand]] / 2)
        yield _Shape("line", [elbow, wrist], 0.2 * unit, hem, middle)
        yield _Shape("line", [elbow, wrist], 0.17 * unit, sleeve, middle)
        first = HAND_START[hand]
        yield from _hand_shapes(wrist, at[first : first + 20], z[first : first + 20], unit * body.hand)


def _head_shapes(at: list[tuple[float, float]], unit: float) -> Iterator[_Shape]:
    x, top, face = at[HEAD_TOP][0], at[HEAD_TOP][1], at[FACE_START:]
    chin = face[8][1]
    hair = [(x - 0.33 * unit, top - 0.04 * unit), (x + 0.33 * unit, top + 0.62 * unit)]
    yield _Shape("line", [(x, chin), at[UPPER_NECK]], 0.26 * unit, "edge", 0)
    yield _Shape("ellipse", hair, 0, "hair", 0.05)
    yield _Shape("ellipse", [(x - 0.28 * unit, top + 0.08 * unit), (x + 0.28 * unit, chin)], 0, "skin", 0.1)
    for brow in (face[17:22], face[22:27]):
        yield _Shape("line", brow, 0.03 * unit, "hair", 0.1)
    for lids in (face[36:42], face[42:48]):
        yield _Shape("polygon", lids, 0, "white", 0.1)
    for pupil in face[68:70]:
        yield _Shape("line", [pupil, pupil], 0.045 * unit, "dark", 0.1)
    yield _Shape("line", face[27:31] + face[33:34], 0.025 * unit, "edge", 0.15)
    yield _Shape("polygon", face[48:60], 0, "mouth", 0.1)


def _hand_shapes(wrist: tuple[float, float], at: list, z: NDArray, size: float) -> Iterator[_Shape]:
    """Palm, then the fingers, each with an edge so that folded ones show on the palm; the thumb last."""
    palm = [wrist, at[0], at[4], at[8], at[12], at[16]]
    yield _Shape("line", [*palm, wrist, palm[1]], 0.24 * size, "edge", float(z[0]))
    yield _Shape("line", [*palm, wrist, palm[1]], 0.18 * size, "skin", float(z[0]))
    yield _Shape("polygon", palm, 0, "skin", float(z[0]))
    for first in (16, 12, 8, 4, 0):
        finger, depth = at[first : first + 4], float(z[first : first + 4].mean())
        yield _Shape("line", finger, 0.19 * size, "edge", depth)
        yield _Shape("line", finger, 0.13 * size, "skin", depth)


class Scene:
    """One clip's room, colours and noise; `draw` gives its frames one by one.

    Noise is one field per clip, laid down at another place in every frame: drawing it anew would cost more than all the
    rest (15 ms a frame against 2).
    """

    def __init__(self, body: Body, look: Look, rng: np.random.Generator) -> None:
        self._body, self._look, self._rng = body, look, rng
        ramp = np.linspace(0, 1, SIZE)[:, None, None]
        top, bottom = np.array(look.background)
        self._room = Image.fromarray(np.broadcast_to(top + (bottom - top) * ramp, (SIZE, SIZE, 3)).astype(np.uint8))
        far = np.broadcast_to(30 + 25 * ramp[..., 0], (SIZE, SIZE))
        self._far = Image.fromarray(far.astype(np.uint8))
        # Colours and depths keep 24 levels from both ends, so adding modulo 256 never wraps round.
        noise = look.noise * rng.standard_normal((SIZE + 64, SIZE + 64, 3), dtype=np.float32)
        self._noise = np.clip(noise.round(), -16, 16).astype(np.int8).view(np.uint8)
        skin, clothes = np.array(look.skin), np.array(look.clothes)
        self._fills = {
            "skin": look.skin,
            "edge": tuple((skin * 0.6).astype(int).clip(24).tolist()),
            "clothes": look.clothes,
            "sleeve": tuple((clothes * 0.8).astype(int).clip(24).tolist()),
            "hair": look.hair,
            "white": (225, 225, 225),
            "dark": (44, 44, 52),
            "mouth": (150, 50, 60),
        }

    def draw(self, points: NDArray) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Colour (512, 512, 3) and depth (512, 512), nearer is brighter, of one frame's `skeleton` (135, 3)."""
        colour, depth = self._room.copy(), self._far.copy()
        on_colour, on_depth = ImageDraw.Draw(colour), ImageDraw.Draw(depth)
        for shape in _shapes(points, self._body, self._look):
            _paint(on_colour, shape, self._fills[shape.part])
            # Edges lie a little deeper, so that fingers show in the depth map too.
            level = 100 + self._look.near + 100 * shape.z - 12 * (shape.part == "edge")
            _paint(on_depth, shape, int(min(max(level, 24), 231)))
        y, x = self._rng.integers(0, 64, 2)
        noise = self._noise[y : y + SIZE, x : x + SIZE]
        return np.asarray(colour) + noise, np.asarray(depth) + noise[..., 0]


def _paint(draw: ImageDraw.ImageDraw, shape: _Shape, fill: Colour | int) -> None:
    if shape.kind == "polygon":
        draw.polygon(shape.points, fill=fill)
    elif shape.kind == "ellipse":
        draw.ellipse(shape.points, fill=fill)
    else:
        width = max(1, round(shape.width))
        draw.line(shape.points, fill=fill, width=width)
        for x, y in shape.points:
            draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=fill)
