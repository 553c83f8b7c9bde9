"""How skeletons are seen: which part of their time, mirrored or not, and in training how bent and with what hidden.

A worker draws every number of a sample with NumPy, from (seed, epoch, id) alone; the device only applies them, a batch
at once. So a draw is the same bits on every device, in every batch, on every rank. It takes 34 µs a sample of 16
frames: 14 to seed the generator, 10 for the noise, where reading and preparing the sample takes 90. A hash on the
device would save the noise, and draw other numbers on another device, whose logarithms and sines differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from train.data.views import generator_of
from train.skeleton.nodes import HAND_PLACES, NODES

SHORTEST = 0.7  # of the clip that a crop in time keeps
BEND = 0.4  # of the speed
ANGLE = np.pi / 12
SCALE = 0.15
SHEAR = 0.15
SHIFT = 0.15  # shoulder widths
NOISE = 0.01  # shoulder widths, standard deviation
HIDDEN_POINTS = 0.04  # of all points
HIDDEN_HANDS = 0.05  # of all hands of all frames
HIDDEN_SPANS = 0.3  # of all clips: a span of up to a quarter of the frames


@dataclass(frozen=True, eq=False)
class SkeletonViews:
    """How each of B samples is seen."""

    mirrored: np.ndarray  # bool (B,)
    begin: np.ndarray | float = 0.0  # float (B,), as in `sampled_frames`
    end: np.ndarray | float = 1.0
    bend: np.ndarray | float = 0.0
    # In training what happens to each, in the mirrored picture where it is mirrored: float32 (B, 2, 3), the affine map
    # of (x, y, 1); float32 (B, T, 25, 2), noise that is added; bool (B, T, 25), what is hidden. Else nothing.
    distortions: tuple[np.ndarray, ...] = ()


def draw_skeleton_views(seed: int, epoch: int, ids: Sequence[str], length: int) -> SkeletonViews:
    """The augmentation of samples of `length` frames in an epoch; that of each depends on nothing else."""
    uniform = np.empty((len(ids), 11))
    noise = np.empty((len(ids), length, len(NODES), 2), np.float32)
    chance = np.empty((len(ids), length, len(NODES) + len(HAND_PLACES)), np.float32)
    for number, sample_id in enumerate(ids):
        random = generator_of(seed, epoch, sample_id)
        random.random(out=uniform[number])
        random.standard_normal(dtype=np.float32, out=noise[number])
        random.random(dtype=np.float32, out=chance[number])
    noise *= np.float32(NOISE)
    kept = SHORTEST + (1 - SHORTEST) * uniform[:, 1]
    begin = (1 - kept) * uniform[:, 2]
    bend = BEND * (2 * uniform[:, 3] - 1)
    distortions = _affine_maps(2 * uniform[:, 4:9] - 1), noise, _hidden(chance, uniform[:, 9:])
    return SkeletonViews(uniform[:, 0] < 0.5, begin, begin + kept, bend, distortions)


def _affine_maps(draws: np.ndarray) -> np.ndarray:
    """float32 (B, 2, 3) of (B, 5) in [-1, 1): a shear along x, then rotation and scale about the neck, then a shift."""
    angle, scale, shear = ANGLE * draws[:, 0], 1 + SCALE * draws[:, 1], SHEAR * draws[:, 2]
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    maps = np.empty((len(draws), 2, 3), np.float32)
    maps[:, 0, 0], maps[:, 0, 1] = cosine, cosine * shear - sine
    maps[:, 1, 0], maps[:, 1, 1] = sine, sine * shear + cosine
    maps[:, :, 2] = SHIFT * draws[:, 3:]
    return maps


def _hidden(chance: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """bool (B, T, 25): single points, hands of single frames, and now and then everything for some time.

    Args:
        chance: in [0, 1), (B, T, 27): of each point, and of each hand.
        spans: in [0, 1), (B, 2): of the span's length, and of its place.
    """
    length = chance.shape[1]
    hidden = chance[..., : len(NODES)] < HIDDEN_POINTS
    for hand, nodes in enumerate(HAND_PLACES, len(NODES)):
        hidden[..., nodes] |= chance[..., hand, None] < HIDDEN_HANDS
    frames = (spans[:, :1] / HIDDEN_SPANS * (length // 4 + 1)).astype(int)
    frames[spans[:, :1] >= HIDDEN_SPANS] = 0
    first = (spans[:, 1:] * (length - frames + 1)).astype(int)
    time = np.arange(length)
    hidden |= ((first <= time) & (time < first + frames))[..., None]
    return hidden
