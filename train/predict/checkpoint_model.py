"""A checkpoint's model, and what it says of the samples of a shard set."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from shards.command_line import print_line
from shards.errors import InputError
from shards.format.shardset import ShardSet
from shards.progress import progress
from train.crops.imputation import GUESSES_UNKNOWN
from train.data.loader import make_loader
from train.data.shard_dataset import LoaderSettings
from train.data.views import View
from train.data.window import window_frames
from train.fit.checkpoint import Checkpoint
from train.fit.guards import enough_memory
from train.fit.settings import differing
from train.models.streams import predict_batches, stream_of
from train.predict.prediction_files import Prediction
from train.predict.sliding import SlidingWindows, window_view
from train.predict.view_average import ViewSettings, mean_of_views
from train.ranks.distributed import choose_device

_NAMED = 5  # samples in an error


@dataclass(frozen=True)
class ComputeSettings:
    """Where the model runs, and how it is fed; fields are named as the options of `predict`."""

    batch_size: int = 8
    num_workers: int = 2
    device: str | None = None  # as torch names it; None: cuda where there is one


class CheckpointModel:
    """A checkpoint's model on a device, in evaluation mode."""

    def __init__(self, checkpoint: Checkpoint, source: Path, settings: ComputeSettings) -> None:
        """Build it.

        Args:
            checkpoint: weights, window, recipe, classes.
            source: the checkpoint's file, for errors.
            settings: device and batches.

        Raises:
            InputError: no such device, or weights that do not fit the checkpoint's settings.
        """
        self._checkpoint, self._source, self._settings = checkpoint, source, settings
        self._stream = stream_of(checkpoint.model_settings.name)
        self._device = choose_device(settings.device)
        self._model = checkpoint.build(source).to(self._device)
        self._feed = LoaderSettings(
            checkpoint.window,
            checkpoint.recipe,
            checkpoint.model_settings.with_depth,
            settings.batch_size,
            settings.num_workers,
        )

    def __repr__(self) -> str:
        settings = self._checkpoint.model_settings
        return f"{self._source}: {settings.name}, {settings.num_classes} classes, on {self._device}"

    def check(self, settings: ViewSettings) -> None:
        """InputError for views that the model has not."""
        if not self._stream.whole_clips:
            settings.check(self._checkpoint.recipe)

    def predict(
        self, shards: ShardSet, settings: ViewSettings | None = None, windows: SlidingWindows | None = None
    ) -> Prediction:
        """Logits of every sample once, with the checkpoint's window and recipe.

        Several views of a sample are averaged; with `windows` there is a row for each of them instead.

        Raises:
            InputError: shards that are unreadable or do not go with the checkpoint, views that its recipe does not
                have, or logits that are not finite.
        """
        settings = settings or ViewSettings()
        self.check(settings)
        self._check(shards)
        with enough_memory(f"for --batch-size {self._settings.batch_size}: give a smaller one"):
            if windows:
                samples, times = windows.samples, windows.times
                logits = self.logits(shards, samples, self._sliding_views(windows, shards), settings.mirror)
            else:
                samples, times = np.arange(len(shards)), None
                views = settings.views(self._stream.whole_clips)
                logits = self.logits(shards, samples.repeat(len(views)), views * len(shards), settings.mirror)
                logits = logits.reshape(len(shards), -1, logits.shape[-1])
        prediction = Prediction(
            shards.ids.take(samples).to_pylist(), mean_of_views(logits), self._class_names(shards), times
        )
        self._refuse_not_finite(prediction, shards)
        return prediction

    def _sliding_views(self, windows: SlidingWindows, shards: ShardSet) -> list[View]:
        span, whole_clips = self._checkpoint.span, self._stream.whole_clips
        frames = shards.frames[windows.samples].tolist()
        return [
            window_view(start, windows.span, span, count, whole_clips)
            for start, count in zip(windows.starts, frames, strict=True)
        ]

    def seen_frames(self, frames: int, settings: ViewSettings) -> tuple[int, int]:
        """The first and the last frame that the views of a clip of T frames show."""
        kept, views = self._checkpoint, settings.views(self._stream.whole_clips)
        if self._stream.whole_clips:
            seen = np.rint([np.array(view.part) * (frames - 1) for view in views]).astype(int)
        else:
            seen = np.array([window_frames(frames, kept.window, kept.recipe, view.start) for view in views])
        return int(seen.min()), int(seen.max())

    def logits(self, shards: ShardSet, samples: np.ndarray, views: Sequence[View], mirror: bool) -> np.ndarray:
        """Logits of samples, each under a view of its own and, if asked for, its mirror image.

        Args:
            shards: where the samples are.
            samples: int (N,), places in `shards`; one may occur several times.
            views: N, not mirrored.
            mirror: show the mirrored views, too.

        Returns:
            float32 (N, 1 or 2, C).

        Raises:
            InputError: a sample cannot be read.
        """
        rows = shards.take(samples)
        found = [self._pass(rows, views)]
        if mirror:
            found.append(self._pass(rows, [replace(view, mirrored=True) for view in views]))
        return np.stack(found, axis=1)

    def _pass(self, shards: ShardSet, views: Sequence[View]) -> np.ndarray:
        loader = make_loader(shards, self._feed, self._stream.reader, False, self._device.type == "cuda")
        loader.dataset.views = views
        batches = predict_batches(self._model, loader, self._device, self._checkpoint.image_size)
        shown = progress(batches, len(shards), "predict", "window", lambda batch: len(batch[0]), may_be_short=True)
        return np.concatenate([logits for _, logits, _ in shown])

    def _check(self, shards: ShardSet) -> None:
        """InputError for shards of another recipe or other classes than the checkpoint's."""
        kept, source, dataset = self._checkpoint, self._source, shards.dataset
        if kept.recipe.name != dataset.recipe.name:
            raise InputError(
                f"{shards.source}: made with the {dataset.recipe.name} recipe, but {source} was trained with "
                f"{kept.recipe.name}; make shards with `pipeline run --recipe {kept.recipe.name}`"
            )
        if dataset.recipe.guessed_hands_shown and not kept.recipe.guessed_hands_shown and not self._stream.whole_clips:
            print_line(f"warning: {shards.source}: {GUESSES_UNKNOWN}, unlike in training", err=True)
        names = dataset.classes
        # Clips without labels, or whose classes have only numbers, may be of any model that has as many.
        numbered = names == [str(number) for number in range(min(len(names), kept.model_settings.num_classes))]
        if kept.classes is not None and kept.classes != names and not numbered:
            raise InputError(f"{source}: {differing(kept.classes, names, shards.source)}")

    def _class_names(self, shards: ShardSet) -> list[str]:
        numbers = [str(number) for number in range(self._checkpoint.model_settings.num_classes)]
        names = shards.dataset.classes
        return self._checkpoint.classes or (names if len(names) == len(numbers) else numbers)

    def _refuse_not_finite(self, prediction: Prediction, shards: ShardSet) -> None:
        """InputError for logits that are NaN or infinite: `argmax` would make class 0 of them, without a word."""
        finite = np.isfinite(prediction.logits).all(axis=1)
        if finite.all():
            return
        broken = [sample_id for sample_id, whole in zip(prediction.ids, finite, strict=True) if not whole]
        names = list(dict.fromkeys(broken))
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        raise InputError(
            f"{shards.source}: the logits of {', '.join(names[:_NAMED])}{more} are not finite; look at these samples "
            f"with `shards verify --full`, else at the weights in {self._source}"
        )
