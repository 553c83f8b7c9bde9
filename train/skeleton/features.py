"""What the skeleton model is told of each node: where it is, how it moves, its bone, and its place in the hand."""

import torch
from torch import Tensor

from train.skeleton.nodes import HAND_PLACES, KNUCKLES, LIMIT, NODES, PARENTS

CHANNELS = 11  # of a node: x, y, score; steps over 1 and over 2 frames; bone; place in the hand
FEATURES = len(NODES) * CHANNELS
SMALLEST_HAND = 0.03  # shoulder widths: below, a hand's points are noise about one place


def skeleton_features(skeletons: Tensor) -> Tensor:
    """float32 (B, T, 275): 11 channels of each node, all in shoulder widths, 0 where a point they take is missing.

    x, y and score; the steps to one and to two frames later; the bone from the parent; and, of a hand's nodes, x and y
    about the mean of the frame's knuckles, in RMS radii of the hand over the clip, within ±4.

    Args:
        skeletons: float32 (B, T, 25, 3): x, y in shoulder widths about the neck, score; a node whose score is not above
            0 is missing, whatever its x and y.
    """
    shown = skeletons[..., 2:] > 0
    seen = torch.where(shown, skeletons, 0.0)
    place = seen[..., :2]
    bone = torch.where(shown & _of_parents(shown), place - _of_parents(place), 0.0)
    channels = [seen, _steps(place, shown, 1), _steps(place, shown, 2), bone, _in_hands(place, shown)]
    return torch.cat(channels, dim=-1).flatten(2)


def _of_parents(values: Tensor) -> Tensor:
    """(B, T, N, C) of each node's parent.

    Not by an index: a list would be copied to the device at each step, and a buffer of whole numbers be rounded off by
    an average of models.
    """
    return torch.stack([values[:, :, parent] for parent in PARENTS.tolist()], dim=2)


def _steps(place: Tensor, shown: Tensor, frames: int) -> Tensor:
    """(B, T, N, 2): where each node is `frames` later, from where it is now; 0 in the last frames."""
    both = shown[:, frames:] & shown[:, :-frames]
    steps = torch.where(both, place[:, frames:] - place[:, :-frames], 0.0)
    return torch.cat([steps, torch.zeros_like(place[:, :frames])], dim=1)


def _in_hands(place: Tensor, shown: Tensor) -> Tensor:
    """(B, T, N, 2): of the hands' nodes, their place in the hand; 0 for the body's."""
    hands = [_in_hand(place[:, :, nodes], shown[:, :, nodes]) for nodes in HAND_PLACES]
    return torch.cat([torch.zeros_like(place[:, :, : HAND_PLACES[0].start]), *hands], dim=2)


def _in_hand(place: Tensor, shown: Tensor) -> Tensor:
    knuckles = shown[:, :, KNUCKLES]
    count = knuckles.sum(2, keepdim=True)
    center = place[:, :, KNUCKLES].sum(2, keepdim=True) / count.clamp(min=1)
    known = shown & (count > 0)
    offset = torch.where(known, place - center, 0.0)
    points = known.sum((1, 2), keepdim=True).clamp(min=1)
    # The square root's slope at 0 is infinite, so the bound is set under it.
    radius = (offset.square().sum((1, 2, 3), keepdim=True) / points).clamp(min=SMALLEST_HAND**2).sqrt()
    return (offset / radius).clamp(-LIMIT, LIMIT)
