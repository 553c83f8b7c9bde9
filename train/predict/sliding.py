"""A window that slides over long clips: where it starts, and when that is."""

from dataclasses import dataclass

import numpy as np

from shards.format.shardset import MemberReader, ShardSet
from train.data.clip import read_info
from train.data.views import View
from train.data.window import Window


@dataclass(frozen=True)
class SlidingWindows:
    """The windows over some clips, clip by clip, from early to late."""

    samples: np.ndarray  # int64 (N,): places in the shard set
    views: list[View]  # N
    times: np.ndarray  # float64 (N, 2): from the start of a window's first frame to the end of its last, in seconds


def window_starts(frames: int, window: Window, step: int) -> list[int]:
    """The first frames of windows `step` frames apart in a clip of T frames; the last one ends with the clip.

    A clip that is shorter than the window has one.
    """
    last = max(frames - window.span, 0)
    return [*range(0, last, step), last]


def plan_windows(shards: ShardSet, window: Window, step: int) -> SlidingWindows:
    """The windows over every clip of a shard set.

    Raises:
        InputError: a sample cannot be read.
    """
    samples, views, times = [], [], []
    for sample, (frames, rate) in enumerate(zip(shards.frames.tolist(), frame_rates(shards), strict=True)):
        starts = window_starts(frames, window, step)
        samples += [sample] * len(starts)
        # The middle of a position's share: rounding cannot move it to the next one.
        views += [View(start=(start + 0.5) / (starts[-1] + 1)) for start in starts]
        times += [(start / rate, min(start + window.span, frames) / rate) for start in starts]
    return SlidingWindows(np.array(samples), views, np.array(times))


def frame_rates(shards: ShardSet) -> list[float]:
    """Frames per second of every sample, from its JSON.

    Raises:
        InputError: one cannot be read.
    """
    reader = MemberReader(shards)
    try:
        return [read_info(shards, reader, sample).fps for sample in range(len(shards))]
    finally:
        reader.close()
