"""Cuts both hands out of the frames of a clip, as they come: what to cut, and the JPEGs that come of it."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pipeline.hands.boxes import hand_boxes, nearest_present
from pipeline.hands.crops import FramePixels, crop, encode, gray, shrink, size_of
from pipeline.hands.found import hands_found
from pipeline.video.decode import Region, planes
from pipeline.workspace.clip import Video
from shards.body135 import HANDS
from shards.format.recipe import Recipe

_NO_COLOR = 128  # of a chroma plane
_COLORFUL = 8.0  # levels, mean; gray video that went through a camera's or an encoder's hands has 1 or 2
# What stands for a hand that no frame shows: a gray square, as neutral as a picture gets.
_NEUTRAL = np.full((16, 16), 128, np.uint8)


@dataclass(frozen=True)
class CutStyle:
    """How one of the two videos is read and stored: depth as gray JPEGs, always antialiased."""

    is_depth: bool
    opencv_color: bool
    aliased: bool
    quality: int
    depth_range: tuple[float, float] | None = None  # values that become black and white; None: gray levels already

    @property
    def kind(self) -> str:
        """Of frames, for `decode`."""
        if self.depth_range:
            return "gray16"
        return "rgb" if self.opencv_color else "planes"

    def picture(self, frame: np.ndarray, region: Region) -> FramePixels:
        """A region of a decoded frame, for `crop`.

        Raises:
            ValueError: a depth frame has colors.
        """
        if self.depth_range:
            return (_scaled(frame.view("<u2").reshape(region.height, region.width), *self.depth_range),)
        if self.opencv_color:
            rgb = frame.reshape(region.height, region.width, 3)
            some = rgb[::4, ::4].astype(np.int16)
            self._refuse_colors(some[..., channel] - some[..., 1] for channel in (0, 2))
            return rgb
        light, *colors = planes(frame, region.width, region.height)
        self._refuse_colors(plane.astype(np.int16) - _NO_COLOR for plane in colors)
        return (light,) if self.is_depth else (light, *colors)

    def _refuse_colors(self, differences: Iterable[np.ndarray]) -> None:
        """ValueError where a depth frame differs from gray."""
        if self.is_depth and max(float(np.abs(plane).mean()) for plane in differences) > _COLORFUL:
            raise ValueError("this depth video has colors, a color map's perhaps; make it gray, or run with --no-depth")


def _scaled(values: np.ndarray, near: float, far: float) -> np.ndarray:
    """uint16 (h, w) of depth as uint8: `near` becomes 16, `far` 235, as in a video of limited range; 0, unknown, 16."""
    share = np.clip((values.astype(np.float32) - near) / (far - near), 0, 1)
    return np.where(values == 0, 16, np.rint(16 + 219 * share)).astype(np.uint8)


@dataclass(frozen=True)
class HandPlan:
    """What to cut for one hand of a clip of T frames."""

    boxes: np.ndarray  # int32 (T, 4): where the hand is, clipped to the frame
    cut: np.ndarray  # int32 (T, 4): what is cut
    missing: np.ndarray  # bool (T,)
    guessed: np.ndarray  # bool (T,): a box, in which the hand itself was not found
    source: np.ndarray | None  # int (T,): the frame whose crop stands for each frame; None: none shows the hand


def plan_hand(keypoints: np.ndarray, hand: str, video: Video, recipe: Recipe) -> HandPlan:
    """Boxes of a hand from float32 (T, 135, 3) keypoints, and what takes a missing hand's place."""
    boxes, missing = hand_boxes(keypoints, hand, video.width, video.height, recipe)
    guessed = ~missing & ~hands_found(keypoints)[:, HANDS.index(hand)]
    if not recipe.late_hand_imputation:
        return HandPlan(boxes, boxes, missing, guessed, nearest_present(missing))
    # The whole frame; the loader imputes inside its window, as the reference did.
    whole = np.where(missing[:, None], [0, 0, video.width, video.height], boxes)
    return HandPlan(boxes, whole, missing, guessed, np.arange(len(missing)))


class Cutter:
    """Cuts the hands out of one video's frames, as they come."""

    def __init__(self, hands: dict[str, HandPlan], video: Video, style: CutStyle) -> None:
        self.region = cut_region(hands, video, style)
        self._hands, self._style = hands, style
        self._wanted = {
            hand: set() if plan.source is None else set(plan.source.tolist()) for hand, plan in hands.items()
        }
        self._corner = np.array([self.region.x, self.region.y] * 2)
        self._number = 0
        self._jpegs: dict[str, dict[int, tuple[bytes, int, int]]] = {hand: {} for hand in hands}

    def add(self, frame: np.ndarray) -> None:
        """Take the next frame of the region, as `decode` gives it."""
        image = self._style.picture(frame, self.region)
        for hand, plan in self._hands.items():
            if self._number in self._wanted[hand]:
                cut = crop(image, (plan.cut[self._number] - self._corner).tolist())
                if self._style.is_depth and isinstance(cut, np.ndarray):
                    cut = gray(cut)
                cut = shrink(cut, self._style.aliased)
                self._jpegs[hand][self._number] = (encode(cut, self._style.quality), *size_of(cut))
        self._number += 1

    def result(self) -> dict[str, tuple[bytes, np.ndarray]]:
        """Per hand the JPEGs, one after another, and int64 (T, 4): offset, size, width, height of every frame's."""
        return {hand: _join(self._jpegs[hand], plan, self._style.quality) for hand, plan in self._hands.items()}


def cut_region(hands: dict[str, HandPlan], video: Video, style: CutStyle) -> Region:
    """The part of the frames that some crop needs; the rest need not come through the pipe.

    All of it for OpenCV's colors: FFmpeg's conversion to RGB looks at the neighbours of the pixels it converts.
    """
    boxes = [plan.cut[np.unique(plan.source)] for plan in hands.values() if plan.source is not None]
    if style.opencv_color or not boxes:
        return Region(0, 0, video.width, video.height)
    every = np.concatenate(boxes)
    x, y = (every[:, :2].min(axis=0) // 2 * 2).tolist()
    # Up to an even pixel, too, and one chroma sample further, which `crop` looks at: it then sees what the frame has.
    ends = np.minimum((every[:, 2:].max(axis=0) // 2 + 1) * 2, [video.width, video.height]).tolist()
    return Region(x, y, ends[0] - x, ends[1] - y)


def _join(jpegs: dict[int, tuple[bytes, int, int]], plan: HandPlan, quality: int) -> tuple[bytes, np.ndarray]:
    source = plan.source
    if source is None:
        jpegs = {0: (encode((_NEUTRAL,), quality), *_NEUTRAL.shape)}
        source = np.zeros(len(plan.missing), np.int64)
    place, offset = {}, 0
    for number in sorted(jpegs):
        data, width, height = jpegs[number]
        place[number] = (offset, len(data), width, height)
        offset += len(data)
    table = np.array([place[number] for number in source.tolist()], np.int64)
    return b"".join(jpegs[number][0] for number in sorted(jpegs)), table
