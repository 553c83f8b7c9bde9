"""Who signs in a drawn clip: a build, a place in the picture, and colors, each drawn at random."""

from dataclasses import dataclass

import numpy as np

SIZE = 512  # of the picture, pixels
Color = tuple[int, int, int]


@dataclass(frozen=True)
class Body:
    """A signer's build and place in the picture: `unit` is the shoulder width in pixels, `x`, `y` the middle of the
    shoulders; the limbs are in shoulder widths, the head in multiples of an average one."""

    unit: float
    x: float
    y: float
    upper_arm: float
    forearm: float
    hand: float
    head: float
    waist: float


@dataclass(frozen=True)
class Appearance:
    """What a signer and the room look like; `near` shifts the whole figure's depth, in gray levels."""

    skin: Color
    clothes: Color
    hair: Color
    background: tuple[Color, Color]
    long_sleeves: bool
    noise: float
    near: float


def random_body(rng: np.random.Generator) -> Body:
    """A new signer's build: shoulders of 100 to 190 pixels, as in AUTSL, placed so that signing hands stay in view."""
    unit = rng.uniform(100, 190)
    slack = max(5.0, SIZE / 2 - 1.4 * unit)
    highest, lowest = 1.05 * unit + 12, SIZE - 1.25 * unit
    return Body(
        unit=unit,
        x=SIZE / 2 + rng.uniform(-1, 1) * min(slack, 70),
        y=rng.uniform(highest, min(lowest, highest + 120)),
        upper_arm=rng.uniform(0.78, 0.92),
        forearm=rng.uniform(0.7, 0.82),
        hand=rng.uniform(0.56, 0.64),
        head=rng.uniform(0.9, 1.1),
        waist=rng.uniform(0.32, 0.44),
    )


def random_appearance(rng: np.random.Generator) -> Appearance:
    """Colors that stay apart, so that hands show, and 24 levels away from 0 and 255, so that noise has room."""
    skin = _mix((232, 190, 164), (104, 68, 50), rng.random())
    clothes = _random_color(rng, [skin], 110)
    room = _random_color(rng, [skin, clothes], 90)
    return Appearance(
        skin=skin,
        clothes=clothes,
        hair=_mix((30, 26, 24), (150, 104, 60), rng.random()),
        background=(room, _mix(room, (128, 128, 128), rng.uniform(0.1, 0.5))),
        long_sleeves=bool(rng.random() < 0.5),
        noise=rng.uniform(1.0, 4.0),
        near=rng.uniform(-12, 12),
    )


def _mix(a: Color, b: Color, share: float) -> Color:
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def _random_color(rng: np.random.Generator, others: list[Color], distance: float) -> Color:
    """The most distant from all `others` of eight draws, or the first that is `distance` away from them."""
    draws = rng.integers(24, 232, (8, 3))
    gaps = np.linalg.norm(draws[:, None] - np.array(others), axis=-1).min(axis=1)
    red, green, blue = draws[np.argmax(np.minimum(gaps, distance))].tolist()
    return red, green, blue
