"""Test-time options: one answer from several looks at a clip.

The answer's probabilities are the mean of the looks' probabilities, as when models are fused (`fusion.py`, which says
why not of their logits): a look then has at most its share of the say. A window that falls beside the sign often has an
answer as sure as it is wrong, and in a mean of logits its size would outvote the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from shards.errors import InputError
from shards.format.recipe import Recipe
from shards.format.shardset import ShardSet
from train.data.dataset import LoaderSettings
from train.data.loader import make_loader
from train.data.views import EVALUATION, View
from train.evaluate.metrics import log_softmax
from train.models.streams import predict_batches


@dataclass(frozen=True)
class Looks:
    """How often a clip is looked at. The default is plain evaluation: the centred window, once."""

    windows: int = 1  # spread over the free start positions
    mirror: bool = False  # each window mirrored, too
    sliding: int | None = None  # frames from one window's start to the next, each with an answer of its own

    def check(self, recipe: Recipe) -> None:
        """InputError where a recipe has no such looks."""
        if recipe.off_centre_window and (self.windows > 1 or self.sliding):
            raise InputError(
                f"--windows and --sliding choose where the window starts, which the {recipe.name} recipe does not let "
                "them (off_centre_window); leave them out"
            )
        if recipe.flip_pixels_only and self.mirror:
            raise InputError(
                f"--mirror swaps the hands and mirrors the motion; models of the {recipe.name} recipe only ever saw "
                "mirrored pixels (flip_pixels_only); leave it out"
            )

    @property
    def views(self) -> list[View]:
        """One view per window, not mirrored: at the middles of equal parts of the free start positions.

        The middle one of an odd number is the centred window of evaluation itself.
        """
        middles = [(number + 0.5) / self.windows for number in range(self.windows)]
        return [EVALUATION if middle == 0.5 else View(start=middle) for middle in middles]


class Mirrored(nn.Module):
    """A model that sees its crops mirrored; hands and motion are the loader's business (`View.mirrored`)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, crops: torch.Tensor, pose: torch.Tensor, *depth: torch.Tensor) -> torch.Tensor:
        """The model's logits for crops and depth of (…, height, width), reversed in width."""
        return self.model(crops.flip(-1), pose, *(clip.flip(-1) for clip in depth))


@dataclass(frozen=True)
class Viewer:
    """A model and how it is fed."""

    model: nn.Module  # on the device, in evaluation mode
    settings: LoaderSettings
    device: torch.device
    image_size: int

    def logits(self, shards: ShardSet, samples: np.ndarray, views: Sequence[View], mirror: bool) -> np.ndarray:
        """Logits of samples, each under a view of its own and, if asked for, its mirror image.

        Args:
            shards: where the samples are.
            samples: int (N,), places in `shards`; one may occur several times.
            views: N, not mirrored.
            mirror: look at the mirrored views, too.

        Returns:
            float32 (N, 1 or 2, C).

        Raises:
            InputError: a sample cannot be read.
        """
        rows = repeated(shards, samples)
        looks = [self._pass(self.model, rows, views)]
        if mirror:
            looks.append(self._pass(Mirrored(self.model), rows, [replace(view, mirrored=True) for view in views]))
        return np.stack(looks, axis=1)

    def _pass(self, model: nn.Module, shards: ShardSet, views: Sequence[View]) -> np.ndarray:
        loader = make_loader(shards, self.settings, training=False, pin=self.device.type == "cuda")
        loader.dataset.views = views
        batches = predict_batches(model, loader, self.device, self.image_size)
        return np.concatenate([logits for _, logits, _ in batches])


def repeated(shards: ShardSet, samples: np.ndarray) -> ShardSet:
    """A shard set of the samples at these places, int (N,), in this order; a place may occur several times."""
    columns = ("shard", "labels", "frames", "offsets", "sizes")
    places = pa.array(samples)
    return replace(
        shards,
        ids=shards.ids.take(places),
        signers=shards.signers.take(places),
        **{name: getattr(shards, name)[samples] for name in columns},
    )


def averaged(logits: np.ndarray) -> np.ndarray:
    """Logits (N, C) whose softmax is the mean of V looks' probabilities, from logits (N, V, C); one look's stay as they
    are."""
    count = logits.shape[1]
    if count == 1:
        return logits[:, 0]
    terms = log_softmax(logits.reshape(-1, logits.shape[-1]).astype(np.float64)).reshape(logits.shape)
    return (np.logaddexp.reduce(terms, axis=1) - np.log(count)).astype(np.float32)
