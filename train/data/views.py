"""What a model sees of a sample, as numbers: drawn anew for each epoch in training, or the same for all."""

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class View:
    """One draw for a sample: the same for all its frames and both hands. The default is evaluation."""

    scale_pair: int | None = None  # in `crop_views.SCALE_PAIRS`; None: the centered 224 window
    place: int = 4  # in `crop_views.PLACES`
    mirrored: bool = False
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    start: float | None = None  # of the frame window, see `window_frames`
    # Of a model that sees whole clips: from where to where, as fractions of the clip.
    part: tuple[float, float] = (0.0, 1.0)


EVALUATION = View()


def generator_of(seed: int, epoch: int, sample_id: str) -> np.random.Generator:
    """Draws the augmentation of a sample in an epoch, and depends on nothing else."""
    identity = int.from_bytes(hashlib.sha256(sample_id.encode()).digest()[:8], "big")
    return np.random.default_rng([seed, epoch, identity])
