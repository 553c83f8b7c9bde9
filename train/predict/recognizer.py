"""One or several checkpoints as one recognizer: the weighted mean of the models' probabilities, as in `evaluate`."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from pipeline.from_videos import ModelNeeds, PoseSource, find_clips, shards_of_videos
from shards.command_line import print_line
from shards.errors import InputError
from shards.format.recipe import RECIPES
from shards.format.shardset import ShardSet, open_shards
from train.evaluate.fusion import fuse, model_weights
from train.evaluate.logits import Logits
from train.fit.checkpoint import Checkpoint, read_checkpoint
from train.fit.settings import differing
from train.models.streams import stream_of
from train.predict.checkpoint_model import CheckpointModel, ComputeSettings
from train.predict.model_records import model_records
from train.predict.prediction_files import Prediction
from train.predict.sliding import plan_windows
from train.predict.view_average import ViewSettings


class Recognizer:
    """The models of one or several checkpoints, and what they say of samples in shards, videos or keypoints."""

    def __init__(
        self, paths: Sequence[Path], weights: np.ndarray, settings: ComputeSettings, any_estimator: bool = False
    ) -> None:
        """See `load`; `weights` are float (M,), not negative, of sum 1."""
        self._paths, self._weights, self._any_estimator = paths, weights, any_estimator
        self._checkpoints = [read_checkpoint(path) for path in paths]
        # Every pair: an imported checkpoint, which has no names of classes, goes with any.
        for (first_path, first), (path, one) in combinations(zip(paths, self._checkpoints, strict=True), 2):
            _check_together(path, one, first_path, first, any_estimator)
        self._models = [
            CheckpointModel(checkpoint, path, settings)
            for checkpoint, path in zip(self._checkpoints, paths, strict=True)
        ]

    @classmethod
    def load(
        cls,
        paths: Path | str | Sequence[Path | str],
        weights: Sequence[float] | None = None,
        settings: ComputeSettings | None = None,
        any_estimator: bool = False,
    ) -> "Recognizer":
        """The recognizer of a checkpoint file, such as a run's `best.pt`, or of several together.

        Args:
            paths: the checkpoints.
            weights: of each in the mean of the probabilities, in any unit; equal by default.
            settings: device and batches.
            any_estimator: take keypoints of another estimator than a checkpoint's.

        Raises:
            InputError: a file that is no checkpoint, checkpoints or weights that do not fit together, no such device.
        """
        files = [Path(path) for path in ([paths] if isinstance(paths, Path | str) else paths)]
        if not files:
            raise InputError("no checkpoint to load; give a run's best.pt")
        given = [1.0] * len(files) if weights is None else list(weights)
        return cls(files, model_weights(given, len(files), "weights"), settings or ComputeSettings(), any_estimator)

    def __repr__(self) -> str:
        return f"<Recognizer {'; '.join(map(repr, self._models))}>"

    def check(self, settings: ViewSettings) -> None:
        """InputError for views that one of the models has not."""
        for model in self._models:
            model.check(settings)

    @property
    def needs(self) -> ModelNeeds:
        """What the models together ask of a clip's sample."""
        checkpoints = self._checkpoints
        numbers = [str(number) for number in range(checkpoints[0].model_settings.num_classes)]
        estimator = next((one.estimator for one in checkpoints if one.estimator), None)
        return ModelNeeds(
            # All have a recipe of this name; each model is shown guessed hands by its own.
            recipe=RECIPES[checkpoints[0].recipe.name],
            classes=next((one.classes for one in checkpoints if one.classes), numbers),
            with_depth=any(one.model_settings.with_depth for one in checkpoints),
            with_crops=not all(stream_of(one.model_settings.name).whole_clips for one in checkpoints),
            estimator=None if self._any_estimator else estimator,
        )

    def predict(
        self,
        source: ShardSet | Path | str | np.ndarray | Sequence[Path | str],
        settings: ViewSettings | None = None,
        pose: PoseSource | None = None,
    ) -> Prediction:
        """Logits of every clip, or of every sliding window; of several models, the logarithms of the mean
        probabilities.

        Args:
            source: samples, as `open_shards` gives them; the path of a video, or of keypoints in a known layout, a
                folder of videos, or several of these; or the keypoints of a clip, float (T, 135, 3) or an array of
                another known layout. Keypoints alone are for models that see nothing else.
            settings: how a clip is shown; by default once, as in evaluation.
            pose: where the keypoints of videos come from; by default as in `predict --video`.

        Returns:
            Of each clip id, logits and class names. Videos that cannot be used are left out, and named on stderr.

        Raises:
            InputError: shards or videos that do not go with the checkpoints, a clip's name that cannot be an id, no
                clip that can be used, or logits that are not finite.
            RunError: a signal, or no room for the clips' samples.
        """
        settings = settings or ViewSettings()
        if isinstance(source, ShardSet):
            return self._predict_shards(source, settings)
        if isinstance(source, np.ndarray):
            with tempfile.TemporaryDirectory(prefix="signshards-keypoints-") as folder:
                np.save(Path(folder, "keypoints.npy"), source, allow_pickle=False)
                return self.predict(Path(folder, "keypoints.npy"), settings, pose)
        paths = [source] if isinstance(source, Path | str) else source
        clips = find_clips([Path(path) for path in paths])
        if not clips:
            raise InputError("no video is given; there is nothing to predict")
        with shards_of_videos(clips, pose or PoseSource(), self.needs) as videos:
            if not videos.clips:
                raise InputError(f"no clip could be used: {'; '.join(videos.failed)}")
            for line in videos.failed:
                print_line(f"failed: {line}", err=True)
            return self._predict_shards(open_shards(str(videos.folder)), settings)

    def _predict_shards(self, shards: ShardSet, settings: ViewSettings) -> Prediction:
        self._check_estimator(shards)
        if not len(shards):
            raise InputError(f"{shards.source}: no sample was taken of it; there is nothing to predict")
        span = max(checkpoint.span for checkpoint in self._checkpoints)
        windows = plan_windows(shards, span, settings.sliding) if settings.sliding else None
        found = [model.predict(shards, settings, windows) for model in self._models]
        models = model_records(self._paths, self._checkpoints, self._weights, settings)
        if len(found) == 1:
            return replace(found[0], models=models)
        parts = [
            Logits(str(path), one.ids, one.logits.astype(np.float64), one.classes)
            for path, one in zip(self._paths, found, strict=True)
        ]
        return replace(found[0], logits=fuse(parts, self._weights).logits.astype(np.float32), models=models)

    def seen_frames(self, frames: int, settings: ViewSettings) -> tuple[int, int]:
        """The first and the last frame that any of the models sees of a clip of T frames."""
        firsts, lasts = zip(*(one.seen_frames(frames, settings) for one in self._models), strict=True)
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
    """InputError where a checkpoint cannot be fused with one before it."""
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
