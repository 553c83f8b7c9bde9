"""Sliding over a long clip: where its windows start, and when they are."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from shards.sample import MEMBERS, SampleInfo, info_from_json
from shards.shardset import MemberReader, ShardSet
from train.clip import damaged
from train.views import View
from train.window import Window


@dataclass(frozen=True)
class Slides:
    """The windows of some clips, clip by clip, from early to late."""

    samples: np.ndarray  # int64 (N,): places in the shard set
    views: list[View]  # N
    times: np.ndarray  # float64 (N, 2): from the start of a window's first frame to the end of its last, in seconds


def span(window: Window) -> int:
    """The frames of the video from a window's first to its last."""
    return (window.length - 1) * window.stride + 1


def window_starts(frames: int, window: Window, step: int) -> list[int]:
    """The first frames of windows `step` frames apart in a clip of T frames; the last one ends with the clip.

    A clip that is shorter than the window has one.
    """
    last = max(frames - span(window), 0)
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
        times += [(start / info.fps, min(start + span(window), info.frames) / info.fps) for start in starts]
    return Slides(np.array(samples), views, np.array(times))


def read_infos(shards: ShardSet) -> Iterator[SampleInfo]:
    """The JSON of every sample.

    Raises:
        InputError: one cannot be read.
    """
    reader = MemberReader(shards)
    try:
        for sample in range(len(shards)):
            try:
                yield info_from_json(reader.read(sample, MEMBERS.index("json")))
            except (ValueError, KeyError) as error:
                raise damaged(shards, sample, error) from error
    finally:
        reader.close()
