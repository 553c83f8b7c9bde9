"""Stage `handcrops`: both hands of every frame as JPEGs, colour and depth cut with the same boxes, packed as a
sample."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.hands.boxes import hand_boxes, nearest_present
from pipeline.hands.crops import Picture, crop, encode, grey, shrink, size_of
from pipeline.video.decode import Region, Stream, decode, planes
from pipeline.video.probe import Video
from pipeline.video.program import ffmpeg_binary
from pipeline.video.recording import Recording
from pipeline.workspace.clip import Sample
from pipeline.workspace.paths import Workspace
from shards.body135 import HANDS
from shards.files import write_whole
from shards.format.recipe import Recipe
from shards.format.sample import HandTrack, SampleInfo, npy_bytes
from shards.format.tar import pack

# What stands for a hand that no frame shows: a grey square, as neutral as a picture gets.
_NEUTRAL = np.full((16, 16), 128, np.uint8)


@dataclass(frozen=True)
class CropSettings:
    """JPEG quality of the crops, 1 to 100. At 95 the model input is off by less than 0.02 on average (unit
    variance)."""

    quality: int = 95


@dataclass(frozen=True)
class CutStyle:
    """How one of the two videos is read and stored: depth as grey JPEGs, always antialiased."""

    is_depth: bool
    opencv_colour: bool
    aliased: bool
    quality: int

    @property
    def kind(self) -> str:
        """Of frames, for `decode`."""
        if self.opencv_colour:
            return "rgb"
        return "grey" if self.is_depth else "planes"

    def picture(self, frame: np.ndarray, region: Region) -> Picture:
        """A region of a decoded frame, for `crop`."""
        if self.opencv_colour:
            return frame.reshape(region.height, region.width, 3)
        if self.is_depth:
            return (frame.reshape(region.height, region.width),)
        return planes(frame, region.width, region.height)


@dataclass(frozen=True)
class HandPlan:
    """What to cut for one hand of a clip of T frames."""

    boxes: np.ndarray  # int32 (T, 4): where the hand is, clipped to the frame
    cut: np.ndarray  # int32 (T, 4): what is cut
    missing: np.ndarray  # bool (T,)
    source: np.ndarray | None  # int (T,): the frame whose crop stands for each frame; None: none shows the hand


def plan_hand(keypoints: np.ndarray, hand: str, video: Video, recipe: Recipe) -> HandPlan:
    """Boxes of a hand from float32 (T, 135, 3) keypoints, and what takes a missing hand's place."""
    boxes, missing = hand_boxes(keypoints, hand, video.width, video.height, recipe)
    if not recipe.late_hand_imputation:
        return HandPlan(boxes, boxes, missing, nearest_present(missing))
    # The whole frame; the loader imputes inside its window, as the reference did.
    whole = np.where(missing[:, None], [0, 0, video.width, video.height], boxes)
    return HandPlan(boxes, whole, missing, np.arange(len(missing)))


def make_sample(
    sample: Sample, video: Video, recipe: Recipe, settings: CropSettings, workspace: Workspace, ffmpeg: str | None
) -> dict[str, Any]:
    """Cut a clip's hands and pack everything a shard holds of it into `handcrops/<id>.tar`.

    Returns:
        Facts: bytes, frames without the left and right hand, and where the members are.

    Raises:
        ClipError: a video does not decode to the frames it should have.
    """
    keypoints = np.load(workspace.keypoints(sample.id))
    hands = {hand: plan_hand(keypoints, hand, video, recipe) for hand in HANDS}
    color_style = CutStyle(False, recipe.opencv_colour, recipe.aliased_colour, settings.quality)
    depth_style = CutStyle(True, recipe.opencv_colour, False, settings.quality)
    videos = [(sample.color, color_style)] + ([(sample.depth, depth_style)] if sample.depth else [])
    cutters = [Cutter(hands, video, style) for _, style in videos]
    streams = [
        Stream(Recording(path), video, style.kind, cutter.region)
        for (path, style), cutter in zip(videos, cutters, strict=True)
    ]
    for number, frame in decode(streams, ffmpeg_binary(ffmpeg)):
        cutters[number].add(frame)
    color, depth = cutters[0].result(), cutters[1].result() if sample.depth else None
    tracks = {
        hand: HandTrack(plan.boxes, plan.missing, color[hand][1], depth[hand][1] if depth else None)
        for hand, plan in hands.items()
    }
    info = SampleInfo(
        sample.id, sample.signer, sample.label, video.fps, video.width, video.height, video.frames, tracks
    )
    members = {"json": info.to_json(), "pose.npy": npy_bytes(keypoints)}
    members["flow.npy"] = workspace.poseflow(sample.id).read_bytes()
    for hand in HANDS:
        members[f"{hand}.mjpg"] = color[hand][0]
        if depth:
            members[f"{hand}_depth.mjpg"] = depth[hand][0]
    packed = pack(sample.id, members)
    write_whole(workspace.handcrops(sample.id), packed.data)
    missing = [int(plan.missing.sum()) for plan in hands.values()]
    return {"bytes": len(packed.data), "missing": missing, "extent": packed.extent, "places": packed.places}


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
                    cut = grey(cut)
                cut = shrink(cut, self._style.aliased)
                self._jpegs[hand][self._number] = (encode(cut, self._style.quality), *size_of(cut))
        self._number += 1

    def result(self) -> dict[str, tuple[bytes, np.ndarray]]:
        """Per hand the JPEGs, one after another, and int64 (T, 4): offset, size, width, height of every frame's."""
        return {hand: _join(self._jpegs[hand], plan, self._style.quality) for hand, plan in self._hands.items()}


def cut_region(hands: dict[str, HandPlan], video: Video, style: CutStyle) -> Region:
    """The part of the frames that some crop needs; the rest need not come through the pipe.

    All of it for OpenCV's colours: FFmpeg's conversion to RGB looks at the neighbours of the pixels it converts.
    """
    boxes = [plan.cut[np.unique(plan.source)] for plan in hands.values() if plan.source is not None]
    if style.opencv_colour or not boxes:
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
