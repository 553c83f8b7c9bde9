"""Which frames of a clip the model sees."""

from dataclasses import dataclass

import numpy as np

from shards.format.recipe import Recipe


@dataclass(frozen=True)
class Window:
    """L frames, `stride` frames apart."""

    length: int = 16
    stride: int = 2

    @property
    def span(self) -> int:
        """The frames of the video from the first to the last."""
        return (self.length - 1) * self.stride + 1


def window_frames(frames: int, window: Window, recipe: Recipe, start: float | None = None) -> np.ndarray:
    """Indices of the sampled frames of a clip.

    Args:
        frames: T, the clip's number of frames, at least 1.
        window: L and the stride.
        recipe: `off_centre_window` gives the reference's window: start (T - L) // (2·stride), padded with its last
            frame.
        start: where the window starts, from 0 (as early as it fits) to below 1 (as late); None: centered.

    Returns:
        int64 (L,), not decreasing. Without the quirk, a clip that is too short for the stride is sampled evenly over
        all its frames, and the last frame is repeated only where there are fewer than L.
    """
    length, stride = window.length, window.stride
    if recipe.off_centre_window:
        first = (frames - length) // (2 * stride)
        indices = np.arange(max(first, 0), min(first + length * stride, frames), stride)
        return np.pad(indices, (0, length - len(indices)), mode="edge")
    if frames >= window.span:
        free = frames - window.span
        first = free // 2 if start is None else int(start * (free + 1))
        return first + stride * np.arange(length)
    if frames >= length:
        return np.arange(length) * (frames - 1) // max(length - 1, 1)
    return np.minimum(np.arange(length), frames - 1)
