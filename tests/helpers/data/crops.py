"""Crops as a loader's workers hand them over."""

import numpy as np
import torch

from shards.format.recipe import DEFAULT
from train.crops.crop_views import seen_boxes
from train.crops.pixels import Pixels
from train.data.views import EVALUATION, View


def pixels_of(images: list[np.ndarray], view: View = EVALUATION, recipe=DEFAULT, boxes=None, padded=False) -> Pixels:
    """Crops (h, w, 3) or (h, w, 1) one after another, each at one position."""
    sizes = np.array([image.shape[1::-1] for image in images])
    rows = [image.reshape(-1, image.shape[2]) for image in images]
    start = np.cumsum([0, *map(len, rows[:-1])])
    boxes = seen_boxes(sizes[None], [view], recipe, padded)[0] if boxes is None else np.array(boxes, np.float32)
    return Pixels(
        torch.from_numpy(np.concatenate(rows)),
        torch.from_numpy(start),
        torch.from_numpy(sizes.astype(np.int32)),
        torch.from_numpy(boxes),
    )


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)
