"""How a skeleton is seen: which part of its time, mirrored or not, and in training how it is bent and what is hidden.

A worker draws every number of a sample with NumPy, from (seed, epoch, id) alone; the device only applies them, a batch
at once. So a draw is the same bits on every device, in every batch, on every rank.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from train.data.skeleton import HANDS, NODES

# Chosen on people of the training side of `asl-words`, like everything that draws below.
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
class Distortion:
    """What training does to the T frames of a skeleton, in the mirrored picture where it is mirrored."""

    affine: np.ndarray  # float32 (2, 3): (x, y, 1) → (x, y)
    noise: np.ndarray  # float32 (T, 25, 2), added to x and y
    hidden: np.ndarray  # bool (T, 25)


@dataclass(frozen=True, eq=False)
class SkeletonView:
    """One draw for a sample. The default is evaluation: the whole clip as it is."""

    mirrored: bool = False
    begin: float = 0.0  # as in `sampled_frames`
    end: float = 1.0
    bend: float = 0.0
    distortion: Distortion | None = None


WHOLE = SkeletonView()


def draw_skeleton_view(seed: int, epoch: int, sample_id: str, length: int) -> SkeletonView:
    """The augmentation of a sample of `length` frames in an epoch: depends on nothing else."""
    identity = int.from_bytes(hashlib.sha256(sample_id.encode()).digest()[:8], "big")
    random = np.random.default_rng([seed, epoch, identity])
    mirrored = bool(random.random() < 0.5)
    kept = random.uniform(SHORTEST, 1)
    begin = random.uniform(0, 1 - kept)
    bend = random.uniform(-BEND, BEND)
    distortion = Distortion(
        _draw_affine(random),
        np.float32(NOISE) * random.standard_normal((length, len(NODES), 2), np.float32),
        _draw_hidden(random, length),
    )
    return SkeletonView(mirrored, begin, begin + kept, bend, distortion)


def _draw_affine(random: np.random.Generator) -> np.ndarray:
    """Rotation and scale, after a shear along x, about the neck; then a shift."""
    angle, scale = random.uniform(-ANGLE, ANGLE), random.uniform(1 - SCALE, 1 + SCALE)
    shear, shift = random.uniform(-SHEAR, SHEAR), random.uniform(-SHIFT, SHIFT, 2)
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    return np.array(
        [[cosine, cosine * shear - sine, shift[0]], [sine, sine * shear + cosine, shift[1]]],
        np.float32,
    )


def _draw_hidden(random: np.random.Generator, length: int) -> np.ndarray:
    """bool (T, 25): single points, hands of single frames, and now and then everything for some time."""
    hidden = random.random((length, len(NODES)), np.float32) < HIDDEN_POINTS
    lost = random.random((length, len(HANDS))) < HIDDEN_HANDS
    for hand, nodes in enumerate(HANDS):
        hidden[lost[:, hand], nodes] = True
    spans, span, place = random.random(3)
    if spans < HIDDEN_SPANS:
        frames = int(span * (length // 4 + 1))
        first = int(place * (length - frames + 1))
        hidden[first : first + frames] = True
    return hidden
