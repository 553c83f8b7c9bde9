"""Batches of skeletons: read by offset from the `pose.npy` members alone, augmented on the training device."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

import numpy as np
import torch

from shards.body135 import POINTS
from shards.errors import InputError
from shards.format.sample import MEMBERS, array_from_npy
from shards.format.shardset import MemberReader, ShardSet
from train.data.clip import damaged
from train.data.skeleton import MIRRORED, NODES, NOT_FINITE, body_frame, place_in_body, sampled_frames
from train.data.skeleton_views import SkeletonViews

_POSE = MEMBERS.index("pose.npy")


@dataclass
class SkeletonBatch:
    """B samples of T frames on their way to the device; as `Batch`, for a model that sees keypoints alone."""

    skeletons: torch.Tensor  # float32 (B, T, 25, 3), as `skeleton_of` makes them
    mirrored: torch.Tensor  # bool (B,)
    labels: torch.Tensor  # int64 (B,): class; -1 where there is none
    # In training, as in `SkeletonViews`: (B, 2, 3), (B, T, 25, 2), (B, T, 25); else nothing.
    distortions: tuple[torch.Tensor, ...]
    ids: list[str]
    total: int  # samples of the global batch that this is a part of

    def tensors(self) -> list[Any]:
        """Its 3 tensors, 6 in training."""
        return [self.skeletons, self.mirrored, self.labels, *self.distortions]

    def map(self, change: Callable[[Any], Any]) -> "SkeletonBatch":
        """The batch with every tensor changed."""
        skeletons, mirrored, labels, *distortions = map(change, self.tensors())
        return SkeletonBatch(skeletons, mirrored, labels, tuple(distortions), self.ids, self.total)

    def split(self, parts: Sequence[tuple[int, int]]) -> "list[SkeletonBatch]":
        """Smaller batches on the same memory, of (samples, `total`) each."""
        batches, first = [], 0
        for count, total in parts:
            here = slice(first, first + count)
            batches.append(replace(self.map(itemgetter(here)), ids=self.ids[here], total=total))
            first += count
        return batches

    def pin_memory(self) -> "SkeletonBatch":
        """What DataLoader calls with `pin_memory=True`."""
        return self.map(torch.Tensor.pin_memory)

    def to(self, device: torch.device) -> "SkeletonBatch":
        """The batch on a device; from pinned memory the copy does not block."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=True))

    def record_stream(self, stream: torch.cuda.Stream) -> None:
        """Tell the allocator that a stream uses this batch, which another stream copied."""
        for tensor in self.tensors():
            tensor.record_stream(stream)


def check_skeletons(shards: ShardSet) -> None:
    """Make sure that there are keypoints.

    Raises:
        InputError: a sample has none.
    """
    has = shards.has("pose.npy")
    if not has.all():
        lacking = shards.ids[int(np.argmin(has))]
        raise InputError(f"{shards.source}: sample {lacking} has no keypoints; make its shards again")


def read_skeletons(
    shards: ShardSet, reader: MemberReader, samples: Sequence[int], length: int, views: SkeletonViews, total: int
) -> SkeletonBatch:
    """The batch of these samples, T = `length` frames of each, of which nothing but `pose.npy` is read.

    Args:
        shards: where the samples are.
        reader: of these shards; what its spans hold is forgotten.
        samples: their numbers.
        length: T.
        views: of these samples, in this order.
        total: as in `SkeletonBatch`.

    Raises:
        InputError: one of them is damaged.
    """
    frames = sampled_frames(shards.frames[samples], length, views.begin, views.end, views.bend)
    skeletons = np.empty((*frames.shape, len(NODES), 3), np.float32)
    center, width = np.empty((len(samples), 2), np.float32), np.empty(len(samples), np.float32)
    for number, sample in enumerate(samples):
        keypoints = read_keypoints(shards, reader, sample)
        skeletons[number] = keypoints[frames[number, :, None], NODES]
        center[number], width[number] = body_frame(keypoints)
    finite = place_in_body(skeletons, center, width)
    if not finite.all():
        raise damaged(shards, samples[int(finite.argmin())], ValueError(NOT_FINITE))
    return SkeletonBatch(
        torch.from_numpy(skeletons),
        torch.from_numpy(views.mirrored),
        torch.from_numpy(shards.labels[samples].astype(np.int64)),
        tuple(map(torch.from_numpy, views.distortions)),
        [shards.ids[sample].as_py() for sample in samples],
        total,
    )


def read_keypoints(shards: ShardSet, reader: MemberReader, sample: int) -> np.ndarray:
    """The keypoints of one sample, float32 (L, 135, 3), in the reader's memory until it reads the next.

    Raises:
        InputError: the member is not what the index says.
    """
    reader.forget()
    try:
        keypoints = array_from_npy(reader.span(sample, _POSE))
        if keypoints.shape != (shards.frames[sample], POINTS, 3) or keypoints.dtype != np.float32 or not len(keypoints):
            raise ValueError(
                f"its keypoints are {keypoints.dtype} {keypoints.shape} for {shards.frames[sample]} frames"
            )
    except ValueError as error:
        raise damaged(shards, sample, error) from error
    return keypoints


def seen_skeletons(batch: SkeletonBatch) -> torch.Tensor:
    """What the model sees of a batch: mirrored, distorted and hidden as its views want it.

    A mirror shows left as right: x is reversed and the sides are exchanged.

    Returns:
        float32 (B, T, 25, 3): x, y, score; what is missing or hidden is (0, 0, 0).
    """
    place, score = batch.skeletons[..., :2], batch.skeletons[..., 2:]
    other = torch.from_numpy(MIRRORED).to(place.device)
    mirrored = batch.mirrored[:, None, None, None]
    place = torch.where(mirrored, place[:, :, other] * place.new_tensor([-1.0, 1.0]), place)
    score = torch.where(mirrored, score[:, :, other], score)
    if batch.distortions:
        affine, noise, hidden = batch.distortions
        column = affine[:, None, None]
        # Not a matrix product: those may be rounded to TF32, and differ between batch sizes.
        place = place[..., :1] * column[..., 0] + place[..., 1:] * column[..., 1] + column[..., 2] + noise
        score = score.masked_fill(hidden[..., None], 0)
    return torch.cat([torch.where(score > 0, place, 0), score], dim=-1)
