"""The generated vocabulary: eight invented signs, each a wrist path and a hand shape, and how a signer performs them.

Every sign has a path of its own, one- or two-handed; each of the two hand shapes occurs on several paths. So motion
alone tells the signs apart, and hand shape alone does not: a small model without pretrained weights learns that within
minutes, where signs that differ only by hand shape take it longer than a demo may. Every signer is right-handed.

Coordinates are relative to the signer: unit is the shoulder width, the origin lies midway between the shoulders. Places
are written as (out, down, forward), where *out* points from the middle of the body to the hand's own side.
Arrays with a hand axis hold the left hand first, as BODY_135 does.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
LEFT, RIGHT = 0, 1


@dataclass(frozen=True)
class HandShape:
    """A finger configuration: how far thumb, index, middle, ring and little finger are curled (0 straight, 1 folded),
    and how far the fingers are spread (0 together, 1 fanned out)."""

    curls: tuple[float, float, float, float, float]
    spread: float


OPEN = HandShape((0.0, 0.0, 0.0, 0.0, 0.0), 1.0)
FIST = HandShape((1.0, 1.0, 1.0, 1.0, 1.0), 0.1)
RELAXED = HandShape((0.3, 0.4, 0.4, 0.45, 0.5), 0.3)


@dataclass(frozen=True)
class Sign:
    """One class of the vocabulary: a hand shape, and wrists that go around `center` (out, down, forward) along an
    ellipse with the radii (out, down), or along a line where one of them is 0."""

    name: str
    shape: HandShape
    center: tuple[float, float, float]
    radii: tuple[float, float]
    two_handed: bool = False
    # The left hand runs this much ahead of the right, in radians.
    left_phase: float = 0.0
    # How far the hand leans outwards with the motion, in radians at sin(phase) = 1.
    lean: float = 0.0

    def path(self, phase: Array, amplitude: float) -> Array:
        """(T, 3) of out, down, forward at phase (T,), in radians, with the radii `amplitude` times as long."""
        out, down = self.radii
        # On a closed path, outwards runs a quarter turn ahead of downwards.
        outwards = np.cos(phase) if out and down else np.sin(phase)
        swing = [out * amplitude * outwards, down * amplitude * np.sin(phase), np.zeros_like(phase)]
        return np.array(self.center) + np.stack(swing, axis=-1)


# A sign's class is its place here. Paths that resemble each other (circle and chop, one- and two-handed) go with
# different hand shapes.
SIGNS = (
    Sign("wave", OPEN, (0.8, -0.1, 0.45), (0.28, 0), lean=0.35),
    Sign("circle", FIST, (0.3, 0.65, 0.6), (0.33, 0.33)),
    Sign("open", OPEN, (0.6, 0.5, 0.6), (0.32, 0), two_handed=True, lean=0.2),
    Sign("sway", FIST, (0.6, 0.5, 0.6), (0.32, 0), two_handed=True, left_phase=np.pi, lean=0.2),
    Sign("chop", OPEN, (0.5, 0.5, 0.55), (0, 0.32)),
    Sign("lift", FIST, (0.5, 0.5, 0.55), (0, 0.32), two_handed=True),
    Sign("climb", OPEN, (0.5, 0.5, 0.55), (0, 0.32), two_handed=True, left_phase=np.pi),
    Sign("wheel", OPEN, (0.6, 0.5, 0.55), (0.31, 0.31), two_handed=True),
)


@dataclass(frozen=True)
class Style:
    """How a sign is performed: a signer's habit, or (after `vary`) one performance of it.

    Times are in frames at 30 fps, lengths in shoulder widths, angles in radians.
    """

    frames: int
    delay: float
    rise: float
    cycle: float
    phase: float
    amplitude: float
    height: float
    lean: float
    # Where the hands lie when they do not sign: (out, down, forward) of the left and of the right hand.
    rest: tuple[tuple[float, ...], ...]
    # Added to the curls of thumb … little finger; results are clipped to 0 … 1.
    curl: tuple[float, ...]
    wobble: float


def random_style(rng: np.random.Generator) -> Style:
    """A new signer's habits: speed, start, amplitude, height and rest pose, from wide distributions."""
    lap = np.array([0.3, 1.2, 0.35]) + rng.uniform(-0.15, 0.15, 3)
    side = np.array([0.62, 1.4, 0.1]) + rng.uniform(-0.08, 0.08, 3)
    return Style(
        frames=int(rng.integers(44, 57)),
        delay=rng.uniform(1, 6),
        rise=rng.uniform(6, 9),
        cycle=rng.uniform(13, 22),
        phase=rng.uniform(-0.5, 0.5),
        amplitude=rng.uniform(0.75, 1.25),
        height=rng.uniform(-0.08, 0.08),
        lean=rng.uniform(-0.2, 0.2),
        rest=tuple(tuple(lap if in_lap else side) for in_lap in rng.random(2) < 0.5),
        curl=tuple(rng.uniform(-0.12, 0.12, 5)),
        wobble=rng.uniform(0.005, 0.02),
    )


def vary(style: Style, rng: np.random.Generator) -> Style:
    """One performance by a signer with these habits: no two are alike. 40 to 60 frames."""
    return replace(
        style,
        frames=int(np.clip(style.frames + rng.integers(-5, 6), 40, 60)),
        delay=max(0.0, style.delay + rng.uniform(-1.5, 3)),
        rise=style.rise * rng.uniform(0.85, 1.15),
        cycle=style.cycle * rng.uniform(0.88, 1.12),
        phase=style.phase + rng.uniform(-0.6, 0.6),
        amplitude=style.amplitude * rng.uniform(0.88, 1.12),
        height=style.height + rng.uniform(-0.06, 0.06),
        lean=style.lean + rng.uniform(-0.12, 0.12),
        curl=tuple(np.asarray(style.curl) + rng.uniform(-0.08, 0.08, 5)),
    )


@dataclass(frozen=True)
class Motion:
    """What two hands do in T frames.

    wrists: (T, 2, 3), x to the signer's left, y down, z forward, in shoulder widths from the middle of the shoulders.
    angle: (T, 2), where the hand points in the picture plane: 0 up, growing outwards, π down.
    curls: (T, 2, 5) and spread: (T, 2), as in `HandShape`.
    """

    wrists: Array
    angle: Array
    curls: Array
    spread: Array


def activity(style: Style) -> Array:
    """(T,) in 0 … 1: 0 where the hands rest, 1 where they sign; up after the delay and down before the end."""
    time = np.arange(style.frames)
    up, down = np.clip([(time - style.delay) / style.rise, (style.frames - 1 - time) / style.rise], 0, 1)
    return up * up * (3 - 2 * up) * (down * down * (3 - 2 * down))


def perform(sign: Sign, style: Style, rng: np.random.Generator) -> Motion:
    """The motion of one performance; `rng` only draws the slow unrest of both hands."""
    time = np.arange(style.frames)
    phase = style.phase + 2 * np.pi * (time - style.delay - style.rise) / style.cycle
    wrists, angle = np.empty((style.frames, 2, 3)), np.empty((style.frames, 2))
    curls, spread = np.empty((style.frames, 2, 5)), np.empty((style.frames, 2))
    for hand, side in ((LEFT, 1), (RIGHT, -1)):
        active = activity(style) * (hand == RIGHT or sign.two_handed)
        own_phase = phase + sign.left_phase * (hand == LEFT)
        signing = sign.path(own_phase, style.amplitude) + np.array([0, style.height, 0])
        resting = np.array(style.rest[hand])
        place = resting + active[:, None] * (signing - resting) + _unrest(style, rng)
        wrists[:, hand] = place * np.array([side, 1, 1])
        pointing = style.lean + sign.lean * np.sin(own_phase)
        # A resting hand hangs down along the forearm, a little inwards.
        angle[:, hand] = 0.95 * np.pi + active * (pointing - 0.95 * np.pi)
        curl = np.array(RELAXED.curls) + active[:, None] * (np.array(sign.shape.curls) - np.array(RELAXED.curls))
        curls[:, hand] = np.clip(curl + np.array(style.curl), 0, 1)
        spread[:, hand] = RELAXED.spread + active * (sign.shape.spread - RELAXED.spread)
    return Motion(wrists, angle, curls, spread)


def _unrest(style: Style, rng: np.random.Generator) -> Array:
    """(T, 3): a slow wobble of a hand, so that a resting hand is not frozen."""
    time = np.arange(style.frames)[:, None]
    return style.wobble * np.sin(2 * np.pi * time / rng.uniform(18, 50, 3) + rng.uniform(0, 2 * np.pi, 3))
