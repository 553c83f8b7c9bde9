"""Drawing a signer: the picture and the depth map of one frame, on the skeleton's own points.

So keypoints and pixels agree by construction.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.demo.figure import ELBOWS, FINGERS, SHOULDERS, WRISTS
from pipeline.demo.signer import SIZE, Appearance, Body, Color
from pipeline.demo.signs import LEFT, RIGHT
from shards.body135 import FACE_POINTS, HEAD_TOP, LEFT_HIP, LEFT_SHOULDER, RIGHT_HIP, RIGHT_SHOULDER, UPPER_NECK

Point = tuple[float, float]


class _Canvas:
    """A picture and its depth map, painted from back to front with the same strokes."""

    def __init__(self, room: Image.Image, far: Image.Image, colors: Mapping[str, Color], near: float) -> None:
        self.picture, self.depth = room.copy(), far.copy()
        self._on_picture, self._on_depth = ImageDraw.Draw(self.picture), ImageDraw.Draw(self.depth)
        self._colors, self._near = colors, near

    def _fills(self, part: str, z: float) -> list[tuple[ImageDraw.ImageDraw, Color | int]]:
        # Edges lie a little deeper, so that fingers show in the depth map too.
        level = 100 + self._near + 100 * z - 12 * (part == "edge")
        return [(self._on_picture, self._colors[part]), (self._on_depth, int(min(max(level, 24), 231)))]

    def polygon(self, points: list[Point], part: str, z: float) -> None:
        """Fill it with the color of a part of the figure, at depth `z` in shoulder widths towards the camera."""
        for draw, fill in self._fills(part, z):
            draw.polygon(points, fill=fill)

    def ellipse(self, corners: list[Point], part: str, z: float) -> None:
        """Likewise, in the box between two corners."""
        for draw, fill in self._fills(part, z):
            draw.ellipse(corners, fill=fill)

    def line(self, points: list[Point], width: float, part: str, z: float) -> None:
        """Likewise, along the points, with round ends."""
        pixels = max(1, round(width))
        for draw, fill in self._fills(part, z):
            draw.line(points, fill=fill, width=pixels)
            for x, y in points:
                draw.ellipse((x - pixels / 2, y - pixels / 2, x + pixels / 2, y + pixels / 2), fill=fill)


def _paint_figure(canvas: _Canvas, skeleton_points: NDArray, body: Body, long_sleeves: bool) -> None:
    """Paint a frame; the arm that is nearer comes last."""
    unit, z = body.unit, np.nan_to_num(skeleton_points[:, 2])
    points = [(x, y) for x, y in skeleton_points[:, :2].tolist()]
    left, right = points[LEFT_HIP], points[RIGHT_HIP]
    trunk = [points[LEFT_SHOULDER], points[RIGHT_SHOULDER], right, left]
    lap = [right, left, (left[0] + 0.3 * unit, 2.0 * SIZE), (right[0] - 0.3 * unit, 2.0 * SIZE)]
    canvas.polygon(lap, "dark", 0.2)
    canvas.polygon(trunk, "clothes", 0)
    canvas.line([*trunk, trunk[0], trunk[1]], 0.22 * unit, "clothes", 0)
    _paint_head(canvas, points, unit * body.head)
    sleeve, hem = ("sleeve", "clothes") if long_sleeves else ("skin", "edge")
    for hand in sorted((LEFT, RIGHT), key=lambda side: z[WRISTS[side]]):
        shoulder, elbow, wrist = points[SHOULDERS[hand]], points[ELBOWS[hand]], points[WRISTS[hand]]
        middle = (z[ELBOWS[hand]] + z[WRISTS[hand]]) / 2
        canvas.line([shoulder, elbow], 0.25 * unit, "sleeve", z[ELBOWS[hand]] / 2)
        canvas.line([elbow, wrist], 0.2 * unit, hem, middle)
        canvas.line([elbow, wrist], 0.17 * unit, sleeve, middle)
        fingers = [points[number] for number in FINGERS[hand]]
        _paint_hand(canvas, wrist, fingers, z[FINGERS[hand]], unit * body.hand)


def _paint_head(canvas: _Canvas, points: list[Point], unit: float) -> None:
    (x, top), face = points[HEAD_TOP], [points[number] for number in FACE_POINTS]
    chin = face[8][1]
    canvas.line([(x, chin), points[UPPER_NECK]], 0.26 * unit, "edge", 0)
    canvas.ellipse([(x - 0.33 * unit, top - 0.04 * unit), (x + 0.33 * unit, top + 0.62 * unit)], "hair", 0.05)
    canvas.ellipse([(x - 0.28 * unit, top + 0.08 * unit), (x + 0.28 * unit, chin)], "skin", 0.1)
    for brow in (face[17:22], face[22:27]):
        canvas.line(brow, 0.03 * unit, "hair", 0.1)
    for lids in (face[36:42], face[42:48]):
        canvas.polygon(lids, "white", 0.1)
    for pupil in face[68:70]:
        canvas.line([pupil, pupil], 0.045 * unit, "dark", 0.1)
    canvas.line(face[27:31] + face[33:34], 0.025 * unit, "edge", 0.15)
    canvas.polygon(face[48:60], "mouth", 0.1)


def _paint_hand(canvas: _Canvas, wrist: Point, points: list[Point], z: NDArray, size: float) -> None:
    """Palm, then the fingers, each with an edge so that folded ones show on the palm; the thumb last."""
    palm, depth = [wrist, *points[0:20:4]], float(z[0])
    canvas.line([*palm, wrist, palm[1]], 0.24 * size, "edge", depth)
    canvas.line([*palm, wrist, palm[1]], 0.18 * size, "skin", depth)
    canvas.polygon(palm, "skin", depth)
    for first in (16, 12, 8, 4, 0):
        finger, depth = points[first : first + 4], float(z[first : first + 4].mean())
        canvas.line(finger, 0.19 * size, "edge", depth)
        canvas.line(finger, 0.13 * size, "skin", depth)


class Scene:
    """One clip's room, colors and noise; `draw` gives its frames one by one.

    Noise is one field per clip, laid down at another place in every frame: drawing it anew would cost more than all the
    rest (15 ms a frame against 2).
    """

    def __init__(self, body: Body, appearance: Appearance, rng: np.random.Generator) -> None:
        self._body, self._appearance, self._rng = body, appearance, rng
        ramp = np.linspace(0, 1, SIZE)[:, None, None]
        top, bottom = np.array(appearance.background)
        self._room = Image.fromarray(np.broadcast_to(top + (bottom - top) * ramp, (SIZE, SIZE, 3)).astype(np.uint8))
        far = np.broadcast_to(30 + 25 * ramp[..., 0], (SIZE, SIZE))
        self._far = Image.fromarray(far.astype(np.uint8))
        # Colors and depths keep 24 levels from both ends, so adding modulo 256 never wraps round.
        noise = appearance.noise * rng.standard_normal((SIZE + 64, SIZE + 64, 3), dtype=np.float32)
        self._noise = np.clip(noise.round(), -16, 16).astype(np.int8).view(np.uint8)
        self._colors: dict[str, Color] = {
            "skin": appearance.skin,
            "edge": _darker(appearance.skin, 0.6),
            "clothes": appearance.clothes,
            "sleeve": _darker(appearance.clothes, 0.8),
            "hair": appearance.hair,
            "white": (225, 225, 225),
            "dark": (44, 44, 52),
            "mouth": (150, 50, 60),
        }

    def draw(self, points: NDArray) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Picture (512, 512, 3) and depth (512, 512), nearer is brighter, of one frame's `skeleton` (135, 3)."""
        canvas = _Canvas(self._room, self._far, self._colors, self._appearance.near)
        _paint_figure(canvas, points, self._body, self._appearance.long_sleeves)
        y, x = self._rng.integers(0, 64, 2)
        noise = self._noise[y : y + SIZE, x : x + SIZE]
        return np.asarray(canvas.picture) + noise, np.asarray(canvas.depth) + noise[..., 0]


def _darker(color: Color, share: float) -> Color:
    red, green, blue = (max(int(level * share), 24) for level in color)
    return red, green, blue
