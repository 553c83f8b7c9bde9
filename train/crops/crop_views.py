"""How a crop becomes model input: which part of it is seen, mirrored or not, in which light. Pure functions of numbers.

The reference resizes a crop to a short side of 256, then takes a 224 window (or, in training, a multi-scale window
resized to 224). Here both are one box in the crop's own pixels, which `pixels.py` resamples once.
"""

from collections.abc import Sequence

import numpy as np

from shards.format.recipe import Recipe
from train.data.views import View, generator_of

RESIZED = 256
SEEN = 224
SCALES = 2.0 ** (-np.arange(4) / 4)
# (height, width) scales that differ by at most one step, in the reference's order.
SCALE_PAIRS = [(h, w) for h in range(4) for w in range(4) if abs(h - w) <= 1]
_PAIR_SCALES = np.array([(SCALES[width], SCALES[height]) for height, width in SCALE_PAIRS])
# Places of the window in quarters of the free space (x, y): corners, center, edge centers, quarter points.
PLACES = np.array(
    [(0, 0), (4, 0), (0, 4), (4, 4), (2, 2), (2, 0), (2, 4), (0, 2), (4, 2), (1, 1), (3, 1), (1, 3), (3, 3)]
)


def draw_view(seed: int, epoch: int, sample_id: str, recipe: Recipe) -> View:
    """The augmentation of a sample in an epoch: depends on nothing else, so workers and ranks cannot change it."""
    random = generator_of(seed, epoch, sample_id)
    pair = int(random.integers(4 if recipe.clipped_multiscale else len(SCALE_PAIRS)))
    place = int(random.integers(len(PLACES)))
    mirrored = bool(random.random() < 0.5)
    brightness, contrast, saturation = random.uniform(0.5, 1.5, 3).tolist()
    start = None if recipe.fixed_training_window else float(random.random())
    return View(pair, place, mirrored, brightness, contrast, saturation, start)


def resized_sizes(sizes: np.ndarray) -> np.ndarray:
    """(…, 2) widths and heights after resizing the short side to 256: the long side is int(256·long/short)."""
    short = np.minimum(sizes[..., :1], sizes[..., 1:])
    return RESIZED * sizes // short


def seen_boxes(sizes: np.ndarray, views: Sequence[View], recipe: Recipe, padded: bool = False) -> np.ndarray:
    """The part of each crop that the model sees, in the crop's own pixels.

    Args:
        sizes: int (B, K, 2), widths and heights of the crops of B samples.
        views: B, which part.
        recipe: `clipped_multiscale` lets a window run over the edge, where it is cut…
        padded: …or, for depth, padded black, so that the box keeps its size.

    Returns:
        float32 (B, K, 4) x0, y0, x1, y1; resampling it to the model's size is the whole geometry.
    """
    resized = resized_sizes(sizes)
    boxes = np.empty((*sizes.shape[:-1], 4))
    # int(round((w - 224) / 2)), halves to even, as torchvision's CenterCrop.
    boxes[..., :2] = np.rint((resized - SEEN) / 2)
    boxes[..., 2:] = boxes[..., :2] + SEEN
    drawn = [number for number, view in enumerate(views) if view.scale_pair is not None]
    if drawn:
        boxes[drawn] = multiscale_boxes(resized[drawn], [views[number] for number in drawn], recipe, padded)
    scale = sizes / resized
    boxes[..., :2] *= scale
    boxes[..., 2:] *= scale
    return boxes.astype(np.float32)


def multiscale_boxes(resized: np.ndarray, views: Sequence[View], recipe: Recipe, padded: bool = False) -> np.ndarray:
    """int (B, K, 4) windows x0, y0, x1, y1 of the views' scales and places in images (B, K, 2) of some sizes."""
    scales = _PAIR_SCALES[[view.scale_pair or 0 for view in views]][:, None]
    window = (resized.min(axis=-1, keepdims=True) * scales).astype(np.int64)
    free = resized - (SEEN if recipe.clipped_multiscale else window)
    corner = free // 4 * PLACES[[view.place for view in views]][:, None]
    end = corner + window
    if recipe.clipped_multiscale and not padded:
        end = np.minimum(end, resized)
    return np.concatenate([corner, end], axis=-1)
