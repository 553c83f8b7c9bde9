"""Sliding over a long clip: where its windows start, and when they are."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from shards.format.sample import SampleInfo
from shards.format.shardset import MemberReader, ShardSet
from train.data.clip import read_info
from train.data.views import View
from train.data.window import Window


@dataclass(frozen=True)
class Slides:
    """The windows of some clips, clip by clip, from early to late."""

    samples: np.ndarray  # int64 (N,): places in the shard set
    views: list[View]  # N
    times: np.ndarray  # float64 (N, 2): from the start of a window's first frame to the end of its last, in seconds


def window_starts(frames: int, window: Window, step: int) -> list[int]:
    """The first frames of windows `step` frames apart in a clip of T frames; the last one ends with the clip.

    A clip that is shorter than the window has one.
    """
    last = max(frames - window.span, 0)
    return [*range(0, last, step), last]


def plan_slides(shards: ShardSet, window: Window, step: int) -> Slides:
    """The windows over every clip of a shard set.

    Raises:
        InputError: a sample cannot be read.
    """
    samples, views, times = [], [], []
    for sample, info in enumerate(read_infos(shards)):
        starts = window_starts(info.frames, window, step)
        samples += [sample] * len(starts)
        # The middle of a position's share: rounding cannot move it to the next one.
        views += [View(start=(start + 0.5) / (starts[-1] + 1)) for start in starts]
        times += [(start / info.fps, min(start + window.span, info.frames) / info.fps) for start in starts]
    return Slides(np.array(samples), views, np.array(times))


def read_infos(shards: ShardSet) -> Iterator[SampleInfo]:
    """The JSON of every sample.

    Raises:
        InputError: one cannot be read.
    """
    reader = MemberReader(shards)
    try:
        for sample in range(len(shards)):
            yield read_info(shards, reader, sample)
    finally:
        reader.close()
