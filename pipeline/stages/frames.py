"""Stage `frames`: count, size and rate of a clip's videos, or of its keypoints where it has no video."""

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from pipeline.errors import ClipError
from pipeline.pose.openpose_json import read_own
from pipeline.stages.stage import Stage
from pipeline.video.probe import ffmpeg_binary, probe
from pipeline.workers.local import Work
from pipeline.workspace.clip import Clip, Sample, Video
from pipeline.workspace.fingerprint import stamp_keypoints
from pipeline.workspace.row import Made, Row

# Of a clip without video whose keypoints do not say it. Nothing but the times of `predict --sliding` depends on it.
ASSUMED_FPS = 25.0


@dataclass(frozen=True)
class Frames(Stage):
    """Depends on the videos alone; for a clip without video on its keypoints."""

    name = "frames"
    version = 1
    one_core = True

    ffmpeg: str | None = None  # None: see `ffmpeg_binary`

    def depends(self, clip: Clip) -> list[Any]:
        """See the class."""
        sample = clip.sample
        span = [sample.start, sample.end] if (sample.start, sample.end) != (None, None) else []
        return [clip.color, clip.depth, *([stamp_keypoints(sample.keypoints)] if sample.color is None else []), *span]

    def work(self, clip: Clip, number: int) -> Work:
        """See `Stage`."""
        return partial(_facts, clip.sample, self.ffmpeg)

    def found(self, clip: Clip, row: Row) -> None:
        """See `Stage`."""
        clip.video = Video(**row.facts)


def _facts(sample: Sample, ffmpeg: str | None) -> Made:
    return Made(asdict(count_frames(sample, ffmpeg)))


def count_frames(sample: Sample, ffmpeg: str | None) -> Video:
    """The color video, once the depth video agrees with it.

    Raises:
        ClipError: a video is unreadable, or depth has another count or size than color.
    """
    if sample.color is None:
        return video_of_keypoints(read_own(str(sample.keypoints)))
    color, *depth = probe([path for path in (sample.color, sample.depth) if path], ffmpeg_binary(ffmpeg))
    for video in depth:
        if video.frames != color.frames:
            raise ClipError(
                f"{sample.depth}: {video.frames} frames, color has {color.frames}; mend it, or run with --no-depth"
            )
        if (video.width, video.height) != (color.width, color.height):
            raise ClipError(
                f"{sample.depth}: {video.width}×{video.height}, color is {color.width}×{color.height}; "
                "mend it, or run with --no-depth"
            )
    return color


def video_of_keypoints(keypoints: np.ndarray) -> Video:
    """Count, size and rate of a clip of which there are only float32 (T, 135, 3) keypoints.

    The size is that of the smallest picture, from the corner (0, 0), that shows them all; the rate is an assumption.
    """
    width, height = np.ceil(keypoints[..., :2].max(axis=(0, 1)) + 1).astype(int).tolist()
    return Video(len(keypoints), max(width, 1), max(height, 1), ASSUMED_FPS)
