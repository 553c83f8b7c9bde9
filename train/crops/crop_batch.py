"""Batches for the models that see hand crops: read and decoded by a worker, resampled on the training device."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from shards.errors import InputError
from shards.format.shardset import ShardSet
from train.crops.crop_sample import Crops, SampleReader, decode_into, swaps_hands
from train.crops.crop_views import draw_view, seen_boxes
from train.crops.pixels import Pixels, imagenet_normalized, relight, resample
from train.crops.pose_features import pose_features
from train.data.batch import Batch
from train.data.sample_info import damaged
from train.data.shard_dataset import LoaderSettings
from train.data.shared_memory import SharedBuffer
from train.data.views import View

# What a crop may have on average to fit into the shared buffers; AUTSL's have 140 × 140 pixels.
_CROP_BYTES = 256 * 256 * 3


@dataclass
class CropBatch(Batch):
    """Crops at native size, pose features, and how they are to be seen."""

    color: Pixels
    depth: Pixels | None
    pose: torch.Tensor  # float32 (B, L, 106)
    labels: torch.Tensor  # int64 (B,): class; -1 where there is none
    mirrored: torch.Tensor  # bool (B,)
    light: torch.Tensor  # float32 (B, 3): brightness, contrast, saturation factors
    ids: list[str]
    total: int
    padded_depth: bool = False  # depth is black outside of its crops

    def tensors(self) -> list[Any]:
        """Its 8 tensors, 12 with depth."""
        depth = vars(self.depth).values() if self.depth else ()
        return [*vars(self.color).values(), *depth, self.pose, self.labels, self.mirrored, self.light]

    def map(self, change: Callable[[Any], Any]) -> "CropBatch":
        """The batch with every tensor changed."""
        return crop_batch([change(tensor) for tensor in self.tensors()], self.ids, self.total, self.padded_depth)

    def part(self, first: int, last: int, total: int) -> "CropBatch":
        """The samples from `first` to before `last`, on the same memory, as a batch that has another `total`."""
        if last - first == len(self.ids):
            return replace(self, total=total)
        positions = len(self.color.start) // len(self.ids)
        pixels = [pixels.part(first * positions, last * positions) for pixels in (self.color, self.depth) if pixels]
        tensors = [tensor for one in pixels for tensor in vars(one).values()]
        tensors += [tensor[first:last] for tensor in (self.pose, self.labels, self.mirrored, self.light)]
        return crop_batch(tensors, self.ids[first:last], total, self.padded_depth)

    def inputs(self, image_size: int, training: bool) -> tuple[torch.Tensor, ...]:
        """(crops, pose) or (crops, pose, depth) for the model.

        Returns:
            crops float32 (B, L, 2, 3, size, size), normalized with ImageNet's mean and std; pose (B, L, 106); depth
            like crops, its channels equal but for the normalization.
        """
        crops = self._images(self.color, image_size, training, padded=False)
        if self.depth is None:
            return crops, self.pose
        return crops, self.pose, self._images(self.depth, image_size, training, self.padded_depth)

    def _images(self, pixels: Pixels, size: int, training: bool, padded: bool) -> torch.Tensor:
        count, length = self.pose.shape[:2]
        images = resample(pixels, size, padded).div_(255)
        images = images.reshape(count, length * 2, -1, size, size)
        images = torch.where(self.mirrored[:, None, None, None, None], images.flip(-1), images)
        if training:
            images = relight(images, self.light)
        return imagenet_normalized(images).reshape(count, length, 2, 3, size, size)


def crop_batch(tensors: Sequence[Any], ids: list[str], total: int, padded_depth: bool = False) -> CropBatch:
    """The batch of what `CropBatch.tensors` gave (or of NumPy arrays, as a worker fills them)."""
    depth = Pixels(*tensors[4:8]) if len(tensors) == 12 else None
    pose, labels, mirrored, light = tensors[-4:]
    return CropBatch(Pixels(*tensors[:4]), depth, pose, labels, mirrored, light, ids, total, padded_depth)


class CropReader:
    """Reads batches of crops; a `BatchReader`."""

    def __init__(self, shards: ShardSet, settings: LoaderSettings) -> None:
        self._shards, self._settings = shards, settings
        self.samples = SampleReader(shards, settings.window, settings.recipe, settings.with_depth)

    @staticmethod
    def check(shards: ShardSet, settings: LoaderSettings) -> None:
        """InputError where there are no crops, or depth is asked for and missing."""
        crops = shards.has("left.mjpg") & shards.has("right.mjpg")
        if not crops.all():
            lacking = shards.ids[int(np.argmin(crops))]
            raise InputError(
                f"{shards.source}: {int((~crops).sum())} samples are without video, e.g. {lacking}, but the model sees "
                "hand crops; a model POSE needs keypoints alone"
            )
        has = shards.has("left_depth.mjpg")
        if settings.with_depth and not has.all():
            lacking = shards.ids[int(np.argmin(has))]
            raise InputError(f"{shards.source}: sample {lacking} has no depth; use VTN_HCPF, or make shards with depth")

    @staticmethod
    def sample_bytes(settings: LoaderSettings) -> int:
        """Room in a shared buffer for the crops of a sample."""
        return settings.window.length * 2 * (2 if settings.with_depth else 1) * _CROP_BYTES

    def close(self) -> None:
        """Close the shards."""
        self.samples.members.close()

    def read_augmented(self, samples: list[int], epoch: int, total: int, buffer: SharedBuffer | None) -> CropBatch:
        """The batch of these samples, each under the view that is drawn for it in this epoch."""
        seed, recipe = self._settings.seed, self._settings.recipe
        views = [draw_view(seed, epoch, self._shards.ids[sample].as_py(), recipe) for sample in samples]
        return replace(self.read(samples, views, total, buffer), padded_depth=recipe.clipped_multiscale)

    def read(self, samples: list[int], views: Sequence[View], total: int, buffer: SharedBuffer | None) -> CropBatch:
        """The batch of these samples, decoded, its pixels in the buffer; the rest as in `BatchReader.read`."""
        settings = self._settings
        self.samples.members.forget()
        clips = [self.samples.read(sample, view) for sample, view in zip(samples, views, strict=True)]
        swapped = np.array([swaps_hands(view, settings.recipe) for view in views])
        frames = np.array([clip.frames for clip in clips])
        pose = pose_features([clip.flow for clip in clips], frames, settings.recipe, swapped)
        tensors = self._pixels(samples, [clip.color for clip in clips], views, 3, buffer)
        if settings.with_depth:
            # The reference's quirks put color into the depth clip, too.
            channels = 3 if settings.recipe.mixed_depth else 1
            depth = [clip.depth for clip in clips if clip.depth is not None]
            tensors += self._pixels(samples, depth, views, channels, buffer, padded=True)
        labels = self._shards.labels[samples].astype(np.int64)
        mirrored = np.array([view.mirrored for view in views])
        light = np.array([(view.brightness, view.contrast, view.saturation) for view in views], np.float32)
        return crop_batch([*tensors, pose, labels, mirrored, light], [clip.id for clip in clips], total)

    def _pixels(
        self,
        samples: list[int],
        clips: list[Crops],
        views: Sequence[View],
        channels: int,
        buffer: SharedBuffer | None,
        padded: bool = False,
    ) -> list[np.ndarray]:
        """The arrays of `Pixels`: the crops of a batch, decoded one after another into one piece of memory, uncopied.

        Each byte range is read where the one before was and decoded at once, while the processor's cache has it.
        """
        sizes = np.concatenate([clip.sizes for clip in clips])
        end = sizes.prod(axis=1).cumsum()  # in pixels
        begin = end - sizes.prod(axis=1)
        memory = buffer.room(int(end[-1]) * channels) if buffer else None
        if memory is None:
            memory = np.empty(int(end[-1]) * channels, np.uint8)
        parts = zip(sizes.tolist(), (begin * channels).tolist(), (end * channels).tolist(), strict=True)
        for sample, clip in zip(samples, clips, strict=True):
            try:
                for byte_range in clip.ranges:
                    for jpeg in self.samples.jpegs(sample, byte_range):
                        (width, height), low, high = next(parts)
                        decode_into(jpeg, width, height, channels, memory[low:high], byte_range.as_gray)
            except (ValueError, TypeError) as error:
                raise damaged(self._shards, sample, error) from error
        before = np.cumsum([0] + [len(clip.sizes) for clip in clips[:-1]])
        jpegs = (np.array([clip.positions for clip in clips]) + before[:, None]).reshape(-1)
        seen = sizes[jpegs]
        boxes = seen_boxes(seen.reshape(len(clips), -1, 2), views, self._settings.recipe, padded)
        return [memory.reshape(-1, channels), begin[jpegs], seen.astype(np.int32), boxes.reshape(-1, 4)]
