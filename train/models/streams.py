"""Kinds of models: what each is built from and reads. A further kind is a line in `STREAMS`."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import nn

from shards.errors import InputError
from shards.format.recipe import Recipe
from train.crops.crop_batch import CropReader
from train.data.feeding import batches_on
from train.data.loader import Loader
from train.data.shard_dataset import BatchReader
from train.models.vtn import VTN, ModelSettings
from train.skeleton.model import PoseNet, PoseSettings
from train.skeleton.pose_batch import SkeletonReader

AnySettings: TypeAlias = ModelSettings | PoseSettings
AnyModel: TypeAlias = VTN | PoseNet


@dataclass(frozen=True)
class Stream:
    """A kind of model. How a batch becomes its input is the batch's business (`Batch.inputs`)."""

    settings: type[AnySettings]
    build: Callable[[Any, Recipe], AnyModel]
    reader: type[BatchReader]  # of samples
    # Sees clips as a whole: there is no window, nor anything else of which a recipe has quirks.
    whole_clips: bool = False
    decay_matrices_only: bool = False  # weight decay leaves biases, normalizations and convolutions alone


def _build_pose(settings: PoseSettings, recipe: Recipe) -> PoseNet:
    return PoseNet(settings)


_CROPS = Stream(ModelSettings, VTN, CropReader)
_SKELETON = Stream(PoseSettings, _build_pose, SkeletonReader, whole_clips=True, decay_matrices_only=True)
STREAMS = {"VTN_HCPF": _CROPS, "VTN_HCPF_D": _CROPS, "POSE": _SKELETON}


def stream_of(name: object) -> Stream:
    """The kind of model that a `--model` name stands for.

    Raises:
        InputError: there is none.
    """
    if name not in STREAMS:
        raise InputError(f"model {name!r} is not known; choose {' or '.join(STREAMS)}")
    return STREAMS[str(name)]


@torch.inference_mode()
def predict_batches(
    model: nn.Module,
    loader: Loader,
    device: torch.device,
    image_size: int,
    autocast: Callable[[], AbstractContextManager] = nullcontext,
) -> Iterator[tuple[list[str], np.ndarray, np.ndarray]]:
    """(ids, float32 logits (B, C), labels (B,)) of every batch, of a model in evaluation mode.

    Raises:
        InputError: a sample cannot be read.
    """
    for batch in batches_on(loader, device):
        inputs = batch.inputs(image_size, training=False)
        with autocast():
            logits = model(*inputs)
        yield batch.ids, logits.float().cpu().numpy(), batch.labels.cpu().numpy()
