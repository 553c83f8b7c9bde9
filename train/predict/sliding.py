"""A window that slides over long clips: where it starts, and when that is."""

from dataclasses import dataclass

import numpy as np

from shards.format.shardset import MemberReader, ShardSet
from train.data.sample_info import read_info
from train.data.views import View


@dataclass(frozen=True)
class SlidingWindows:
    """The windows over some clips, clip by clip, from early to late."""

    samples: np.ndarray  # int64 (N,): places in the shard set
    starts: list[int]  # N: the first frame of each
    span: int  # frames from the first to the last; in a shorter clip, all there are
    times: np.ndarray  # float64 (N, 2): from the start of a window's first frame to the end of its last, in seconds


def window_starts(frames: int, span: int, step: int) -> list[int]:
    """The first frames of windows of `span` frames, `step` frames apart, in a clip of T frames; the last one ends with
    the clip.

    A clip that is shorter than the window has one.
    """
    last = max(frames - span, 0)
    return [*range(0, last, step), last]


def plan_windows(shards: ShardSet, span: int, step: int) -> SlidingWindows:
    """The windows over every clip of a shard set.

    Raises:
        InputError: a sample cannot be read.
    """
    samples: list[int] = []
    starts: list[int] = []
    times: list[tuple[float, float]] = []
    for sample, (frames, rate) in enumerate(zip(shards.frames.tolist(), frame_rates(shards), strict=True)):
        here = window_starts(frames, span, step)
        samples += [sample] * len(here)
        starts += here
        times += [(start / rate, min(start + span, frames) / rate) for start in here]
    return SlidingWindows(np.array(samples), starts, span, np.array(times))


def window_view(start: int, span: int, own: int, frames: int, whole_clips: bool) -> View:
    """How a model sees a window: all of it, or, where it sees fewer frames at a time than another one, its middle.

    Args:
        start: first frame of the window.
        span: frames of the window.
        own: frames that this model sees at a time, at most `span`.
        frames: T, of the clip.
        whole_clips: whether the model sees whole clips.
    """
    free = max(frames - own, 0)
    first = min(start + (span - own) // 2, free)
    if whole_clips:
        last, end = max(frames - 1, 1), min(first + own, frames) - 1
        return View(part=(first / last, end / last))
    # The middle of a position's share: rounding cannot move it to the next one.
    return View(start=(first + 0.5) / (free + 1))


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
