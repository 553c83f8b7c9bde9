"""Batches for the model that sees keypoints alone: read by offset, augmented on the training device."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from shards.body135 import POINTS
from shards.errors import InputError
from shards.format.sample import LARGEST_NUMBER, MEMBERS, array_from_npy
from shards.format.shardset import MemberReader, ShardSet
from train.data.batch import Batch
from train.data.sample_info import damaged
from train.data.shard_dataset import LoaderSettings
from train.data.shared_memory import SharedBuffer
from train.data.views import View
from train.skeleton.nodes import MIRRORED, NODES, body_frame, place_in_body, sampled_frames
from train.skeleton.pose_views import SkeletonViews, draw_skeleton_views

_POSE = MEMBERS.index("pose.npy")


@dataclass
class SkeletonBatch(Batch):
    """B samples of T frames, and how they are to be seen."""

    skeletons: torch.Tensor  # float32 (B, T, 25, 3), as `place_in_body` makes them
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
        return skeleton_batch([change(tensor) for tensor in self.tensors()], self.ids, self.total)

    def part(self, first: int, last: int, total: int) -> "SkeletonBatch":
        """The samples from `first` to before `last`, on the same memory, as a batch that has another `total`."""
        return skeleton_batch([tensor[first:last] for tensor in self.tensors()], self.ids[first:last], total)

    def inputs(self, image_size: int, training: bool) -> tuple[torch.Tensor, ...]:
        """What the model sees: mirrored, distorted and hidden as the views want it.

        A mirror shows left as right: x is reversed and the sides are exchanged.

        Returns:
            float32 (B, T, 25, 3): x, y, score; what is missing or hidden is (0, 0, 0).
        """
        place, score = self.skeletons[..., :2], self.skeletons[..., 2:]
        other = torch.from_numpy(MIRRORED).to(place.device)
        mirrored = self.mirrored[:, None, None, None]
        place = torch.where(mirrored, place[:, :, other] * place.new_tensor([-1.0, 1.0]), place)
        score = torch.where(mirrored, score[:, :, other], score)
        if self.distortions:
            affine, noise, hidden = self.distortions
            column = affine[:, None, None]
            # Not a matrix product: those may be rounded to TF32, and differ between batch sizes.
            place = place[..., :1] * column[..., 0] + place[..., 1:] * column[..., 1] + column[..., 2] + noise
            score = score.masked_fill(hidden[..., None], 0)
        return (torch.cat([torch.where(score > 0, place, 0), score], dim=-1),)


def skeleton_batch(tensors: Sequence[Any], ids: list[str], total: int) -> SkeletonBatch:
    """The batch of what `SkeletonBatch.tensors` gave (or of NumPy arrays, as a worker fills them)."""
    skeletons, mirrored, labels, *distortions = tensors
    return SkeletonBatch(skeletons, mirrored, labels, tuple(distortions), ids, total)


class SkeletonReader:
    """Reads batches of skeletons, of which nothing but `pose.npy` is read; a `BatchReader`."""

    def __init__(self, shards: ShardSet, settings: LoaderSettings) -> None:
        self._shards, self._settings = shards, settings
        self._members = MemberReader(shards)

    @staticmethod
    def check(shards: ShardSet, settings: LoaderSettings) -> None:
        """InputError where a sample has no keypoints."""
        has = shards.has("pose.npy")
        if not has.all():
            lacking = shards.ids[int(np.argmin(has))]
            raise InputError(f"{shards.source}: sample {lacking} has no keypoints; make its shards again")

    @staticmethod
    def sample_bytes(settings: LoaderSettings) -> int:
        """Room in a shared buffer for all that a batch has of a sample, in training."""
        points = settings.window.length * len(NODES)
        return points * (3 * 4 + 2 * 4 + 1) + 64

    def close(self) -> None:
        """Close the shards."""
        self._members.close()

    def read_augmented(self, samples: list[int], epoch: int, total: int, buffer: SharedBuffer | None) -> SkeletonBatch:
        """The batch of these samples, each under the view that is drawn for it in this epoch."""
        ids = [self._shards.ids[sample].as_py() for sample in samples]
        views = draw_skeleton_views(self._settings.seed, epoch, ids, self._settings.window.length)
        return self.read_as(samples, views, total)

    def read(self, samples: list[int], views: Sequence[View], total: int, buffer: SharedBuffer | None) -> SkeletonBatch:
        """The batch of these samples, without the buffer; the rest as in `BatchReader.read`."""
        begin, end = np.array([view.part for view in views]).T
        mirrored = np.array([view.mirrored for view in views])
        return self.read_as(samples, SkeletonViews(mirrored, begin, end), total)

    def read_as(self, samples: list[int], views: SkeletonViews, total: int) -> SkeletonBatch:
        """Likewise, under views of the skeleton stream's own."""
        shards = self._shards
        frames = sampled_frames(
            shards.frames[samples], self._settings.window.length, views.begin, views.end, views.bend
        )
        skeletons = np.empty((*frames.shape, len(NODES), 3), np.float32)
        center, width = np.empty((len(samples), 2), np.float32), np.empty(len(samples), np.float32)
        for number, sample in enumerate(samples):
            keypoints = read_keypoints(shards, self._members, sample)
            skeletons[number] = keypoints[frames[number, :, None], NODES]
            center[number], width[number] = body_frame(keypoints)
        possible = place_in_body(skeletons, center, width)
        if not possible.all():
            reason = f"a keypoint that has a score has no place: not finite, or beyond ±{LARGEST_NUMBER:.0f} pixels"
            raise damaged(shards, samples[int(possible.argmin())], ValueError(reason))
        arrays = [skeletons, views.mirrored, shards.labels[samples].astype(np.int64), *views.distortions]
        return skeleton_batch(arrays, [shards.ids[sample].as_py() for sample in samples], total)


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
