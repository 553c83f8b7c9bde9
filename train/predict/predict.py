"""Predictions: from a checkpoint and shards to logits, `id,class` files and `.npz` files."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from shards.errors import InputError
from shards.files import output_file
from shards.format.shardset import ShardSet, open_shards
from train.data.dataset import LoaderSettings
from train.fit.checkpoint import Checkpoint
from train.fit.distributed import choose_device
from train.fit.guards import enough_memory
from train.fit.settings import differing
from train.predict.sliding import plan_slides
from train.predict.tables import write_ranked
from train.predict.views import Looks, Viewer, averaged


@dataclass(frozen=True)
class PredictSettings:
    """How shards are predicted."""

    batch_size: int = 8
    workers: int = 2
    device: str | None = None  # as torch names it; None: cuda where there is one
    looks: Looks = field(default_factory=Looks)


@dataclass(frozen=True)
class Prediction:
    """Logits of some samples or, with `times`, of windows of samples, whose ids are then repeated."""

    ids: list[str]
    logits: np.ndarray  # float32 (N, C)
    classes: list[str]  # C names
    times: np.ndarray | None = None  # float64 (N, 2): start and end of each window, in seconds


def predict_shards(kept: Checkpoint, source: Path, pattern: str, settings: PredictSettings) -> Prediction:
    """Logits of every sample of the shards that `pattern` names, once each, with the checkpoint's window and recipe.

    `source` is the checkpoint's file, for errors. Several looks at a sample are averaged (`test_time.py`); with
    `looks.sliding` there is a row for each window over each sample, instead.

    Raises:
        InputError: shards are unreadable, do not go with the checkpoint, or its recipe has no such looks.
    """
    settings.looks.check(kept.recipe)
    shards = open_shards(pattern)
    if kept.recipe != shards.dataset.recipe:
        raise InputError(
            f"{pattern}: made with the {shards.dataset.recipe.name} recipe, but {source} was trained with "
            f"{kept.recipe.name}; make shards with `pipeline run --recipe {kept.recipe.name}`"
        )
    names = shards.dataset.classes
    # Clips without labels, or whose classes have only numbers, may be of any model that has as many.
    numbered = names == [str(number) for number in range(min(len(names), kept.model_settings.num_classes))]
    if kept.classes is not None and kept.classes != names and not numbered:
        raise InputError(f"{source}: {differing(kept.classes, names, pattern)}")
    place = choose_device(settings.device)
    feed = LoaderSettings(
        kept.window, kept.recipe, kept.model_settings.with_depth, settings.batch_size, settings.workers
    )
    viewer = Viewer(kept.build(source).to(place), feed, place, kept.image_size)
    with enough_memory(f"for --batch-size {settings.batch_size}: give a smaller one"):
        samples, logits, times = _look(viewer, shards, settings.looks)
    numbers = [str(number) for number in range(logits.shape[1])]
    classes = kept.classes or (names if len(names) == len(numbers) else numbers)
    return Prediction(shards.ids.take(samples).to_pylist(), logits, classes, times)


def _look(viewer: Viewer, shards: ShardSet, looks: Looks) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """For every row: its place in the shards (N,), its logits (N, C) and, when sliding, its times (N, 2)."""
    if looks.sliding:
        slides = plan_slides(shards, viewer.settings.window, looks.sliding)
        logits = viewer.logits(shards, slides.samples, slides.views, looks.mirror)
        return slides.samples, averaged(logits), slides.times
    samples = np.arange(len(shards))
    logits = viewer.logits(shards, samples.repeat(looks.windows), looks.views * len(shards), looks.mirror)
    return samples, averaged(logits.reshape(len(shards), -1, logits.shape[-1])), None


def write_predictions(path: Path, prediction: Prediction, template: Sequence[str] | None) -> None:
    """Write `id,class` for the ids of a template that were predicted, in its order; without one, for all, by id.

    Raises:
        InputError: the file cannot be written.
    """
    best = dict(zip(prediction.ids, prediction.logits.argmax(axis=1).tolist(), strict=True))
    with output_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        rows = ((sample_id, best[sample_id]) for sample_id in _order(best, template))
        csv.writer(file, lineterminator="\n").writerows(rows)


def write_likeliest(path: Path, prediction: Prediction, template: Sequence[str] | None, count: int) -> None:
    """Write the `count` most likely classes of every id (in the order of `write_predictions`), or of every window.

    Raises:
        InputError: the file cannot be written.
    """
    if prediction.times is not None:
        order = np.argsort(np.array(prediction.ids), kind="stable")  # the windows of a clip stay in order
        rows = [(prediction.ids[number], prediction.logits[number]) for number in order]
        write_ranked(path, rows, prediction.classes, count, prediction.times[order])
        return
    logits = dict(zip(prediction.ids, prediction.logits, strict=True))
    rows = [(sample_id, logits[sample_id]) for sample_id in _order(logits, template)]
    write_ranked(path, rows, prediction.classes, count)


def _order(predicted: dict, template: Sequence[str] | None) -> list[str]:
    if template is None:
        return sorted(predicted)
    return [sample_id for sample_id in template if sample_id in predicted]


def write_logits(path: Path, prediction: Prediction) -> None:
    """Write `ids`, `logits` (N, C) and `classes` as a `.npz` file that loads without unpickling.

    Raises:
        InputError: the file cannot be written.
    """
    with output_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, ids=np.array(prediction.ids), logits=prediction.logits, classes=np.array(prediction.classes))
