"""Several checkpoints as one recognizer: the weighted mean of the models' probabilities, as in `evaluate`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from shards.errors import InputError
from shards.format.recipe import RECIPES, Recipe
from shards.format.shardset import ShardSet
from train.evaluate.fusion import fuse
from train.evaluate.logits import Logits
from train.fit.checkpoint import Checkpoint, read_checkpoint
from train.fit.settings import differing
from train.models.streams import stream_of
from train.predict.prediction_files import Prediction
from train.predict.recognizer import ComputeSettings, Recognizer
from train.predict.sliding import plan_windows
from train.predict.view_average import ViewSettings


class Ensemble:
    """The models of one or several checkpoints."""

    def __init__(
        self, paths: Sequence[Path], weights: np.ndarray, settings: ComputeSettings, any_estimator: bool = False
    ) -> None:
        """Read the checkpoints and build their models.

        Args:
            paths: the checkpoints.
            weights: float (M,), of each, not negative, of sum 1.
            settings: device and batches.
            any_estimator: take keypoints of another estimator than a checkpoint's.

        Raises:
            InputError: a file that is no checkpoint, or checkpoints that do not fit together.
        """
        self._paths, self._weights, self._any_estimator = paths, weights, any_estimator
        self._checkpoints = [read_checkpoint(path) for path in paths]
        for path, checkpoint in zip(paths[1:], self._checkpoints[1:], strict=True):
            _check_together(path, checkpoint, paths[0], self._checkpoints[0], any_estimator)
        self._recognizers = [
            Recognizer(checkpoint, path, settings) for checkpoint, path in zip(self._checkpoints, paths, strict=True)
        ]

    def check(self, settings: ViewSettings) -> None:
        """InputError for views that one of the models has not."""
        for recognizer in self._recognizers:
            recognizer.check(settings)

    @property
    def recipe(self) -> Recipe:
        """That of shards for all checkpoints. They are of one name; each model is shown guessed hands by its own."""
        return RECIPES[self._checkpoints[0].recipe.name]

    @property
    def classes(self) -> list[str]:
        """Names, or numbers where no checkpoint has names."""
        numbers = [str(number) for number in range(self._checkpoints[0].model_settings.num_classes)]
        return next((one.classes for one in self._checkpoints if one.classes), numbers)

    @property
    def with_crops(self) -> bool:
        """Whether a model sees hand crops."""
        return not all(stream_of(one.model_settings.name).whole_clips for one in self._checkpoints)

    @property
    def with_depth(self) -> bool:
        """Whether a model sees depth."""
        return any(one.model_settings.with_depth for one in self._checkpoints)

    @property
    def estimator(self) -> str | None:
        """Whose keypoints are wanted; None: whoever's."""
        known = next((one.estimator for one in self._checkpoints if one.estimator), None)
        return None if self._any_estimator else known

    def predict(self, shards: ShardSet, settings: ViewSettings) -> Prediction:
        """Logits of every sample, or of every sliding window; of several models, the logarithms of the mean
        probabilities.

        Raises:
            InputError: as `Recognizer.predict`; keypoints of another estimator than a checkpoint's.
        """
        self._check_estimator(shards)
        span = max(checkpoint.span for checkpoint in self._checkpoints)
        windows = plan_windows(shards, span, settings.sliding) if settings.sliding else None
        found = [recognizer.predict(shards, settings, windows) for recognizer in self._recognizers]
        if len(found) == 1:
            return found[0]
        parts = [
            Logits(str(path), one.ids, one.logits.astype(np.float64), one.classes)
            for path, one in zip(self._paths, found, strict=True)
        ]
        return replace(found[0], logits=fuse(parts, self._weights).logits.astype(np.float32))

    def seen_frames(self, frames: int, settings: ViewSettings) -> tuple[int, int]:
        """The first and the last frame that any of the models sees of a clip of T frames."""
        firsts, lasts = zip(*(one.seen_frames(frames, settings) for one in self._recognizers), strict=True)
        return min(firsts), max(lasts)

    def _check_estimator(self, shards: ShardSet) -> None:
        """Two estimators place the points differently, and no number in the keypoints tells which one it was."""
        theirs = shards.dataset.settings.get("estimator")
        for path, checkpoint in zip(self._paths, self._checkpoints, strict=True):
            if not self._any_estimator and checkpoint.estimator and theirs and theirs != checkpoint.estimator:
                raise InputError(
                    f"{shards.source}: has keypoints of {theirs}, but {path} was trained on those of "
                    f"{checkpoint.estimator}; make shards with the same, or take them as they are with --any-estimator"
                )


def _check_together(path: Path, one: Checkpoint, first_path: Path, first: Checkpoint, any_estimator: bool) -> None:
    """InputError where a checkpoint cannot be fused with the first one."""
    if one.recipe.name != first.recipe.name:
        raise InputError(
            f"{path}: of the {one.recipe.name} recipe, {first_path} of {first.recipe.name}; no shards are of both"
        )
    count, first_count = one.model_settings.num_classes, first.model_settings.num_classes
    if count != first_count:
        raise InputError(f"{path}: knows {count} classes, {first_path} {first_count}; give models of the same classes")
    if one.classes and first.classes and one.classes != first.classes:
        raise InputError(f"{path}: {differing(one.classes, first.classes, first_path)}")
    if one.estimator and first.estimator and one.estimator != first.estimator and not any_estimator:
        raise InputError(
            f"{path}: trained on keypoints of {one.estimator}, {first_path} on those of {first.estimator}; "
            "fuse models of the same, or take them as they are with --any-estimator"
        )
